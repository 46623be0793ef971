//! The outbox with a sink that does as the test says.
//! It must not need a broker.

use std::time::Duration;

use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Confirmation, Sink, Status, outbox};
use crate::{
    control::{Control, record::Recorded},
    model::event::Event,
};

/// An event that was begun, and the way to confirm it.
type Begun = (Recorded, oneshot::Sender<Result<(), String>>);

struct Fake {
    up: watch::Receiver<bool>,
    begun: mpsc::UnboundedSender<Begun>,
}

impl Sink for Fake {
    async fn ready(&mut self) {
        self.up.wait_for(|up| *up).await.unwrap();
    }

    async fn begin(&mut self, event: &Recorded) -> Result<Confirmation, String> {
        let (confirm, confirmed) = oneshot::channel();
        let _ = self.begun.send((event.clone(), confirm));
        let lost = || Err("lost".to_owned());
        Ok(Box::pin(async move {
            confirmed.await.unwrap_or_else(|_| lost())
        }))
    }
}

/// An outbox that runs, and what comes out of it.
struct Running {
    control: Control,
    up: watch::Sender<bool>,
    begun: mpsc::UnboundedReceiver<Begun>,
    status: watch::Receiver<Status>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn node() -> Control {
    let refuse = |_, _, id| crate::control::answer::Answer::done(id, 1, Vec::new(), json!({}));
    Control::stand_in("lb1".parse().unwrap(), 8, refuse)
}

#[expect(clippy::disallowed_methods, reason = "what a test begins is bounded")]
fn run(control: &Control) -> Running {
    let (send, begun) = mpsc::unbounded_channel();
    let (up, is_up) = watch::channel(true);
    let (told, status) = watch::channel(Status::default());
    let sink = Fake {
        up: is_up,
        begun: send,
    };
    let stop = CancellationToken::new();
    let (control, until) = (control.clone(), stop.clone());
    let task = tokio::spawn({
        let control = control.clone();
        async move { outbox::run(sink, control, "events/fake", told, until).await }
    });
    Running {
        control,
        up,
        begun,
        status,
        stop,
        task,
    }
}

impl Running {
    async fn record(&self, count: usize) {
        let event = |number| Event::new("host.down", format!("web/blue/w{number}"), json!({}));
        self.control
            .record((0..count).map(event).collect())
            .await
            .unwrap();
    }

    async fn next(&mut self) -> Begun {
        let next = timeout(Duration::from_secs(10), self.begun.recv()).await;
        next.expect("an event in time").unwrap()
    }

    /// The next one has this number, and is confirmed.
    async fn confirm(&mut self, sequence: u64) {
        let (event, confirm) = self.next().await;
        assert_eq!(event.sequence, sequence);
        confirm.send(Ok(())).unwrap();
    }

    async fn eventually(&mut self, is: impl FnMut(&Status) -> bool) -> Status {
        let waited = timeout(Duration::from_secs(10), self.status.wait_for(is)).await;
        waited.expect("a status in time").unwrap().clone()
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(10), self.task)
            .await
            .unwrap()
            .unwrap();
    }
}

async fn mark(control: &Control) -> Option<u64> {
    let kept = control.kept("events/fake".to_owned()).await.unwrap();
    kept.first().and_then(|(_, value)| value.as_u64())
}

#[tokio::test]
async fn events_go_in_order_those_before_the_sink_too_and_count_when_confirmed() {
    let control = node();
    control
        .record(vec![Event::bare("node.started", "lb1")])
        .await
        .unwrap();
    let mut out = run(&control);
    out.confirm(1).await;
    out.record(3).await;
    out.confirm(2).await;
    let (third, confirm_third) = out.next().await;
    let (_, confirm_fourth) = out.next().await;
    assert_eq!(third.event.subject, "web/blue/w1");
    confirm_fourth.send(Ok(())).unwrap();
    let status = out.eventually(|status| status.sent == 2).await;
    assert_eq!((status.last_sent, status.waiting), (2, 2));
    confirm_third.send(Ok(())).unwrap();
    let status = out.eventually(|status| status.sent == 4).await;
    assert_eq!((status.last_sent, status.waiting, status.lost), (4, 0, 0));
    out.end().await;
    assert_eq!(mark(&control).await, Some(4));
}

#[tokio::test]
async fn after_a_failure_all_that_was_not_confirmed_goes_again() {
    let mut out = run(&node());
    out.record(4).await;
    out.confirm(1).await;
    let (_, lost) = out.next().await;
    let (_, confirm) = out.next().await;
    confirm.send(Ok(())).unwrap();
    out.up.send_replace(false);
    lost.send(Err("the broker is gone".to_owned())).unwrap();
    out.eventually(|status| status.trouble.as_deref() == Some("the broker is gone"))
        .await;
    while out.begun.try_recv().is_ok() {}
    out.record(1).await;
    out.up.send_replace(true);
    for sequence in 2..=5 {
        out.confirm(sequence).await;
    }
    let status = out.eventually(|status| status.last_sent == 5).await;
    assert_eq!((status.trouble, status.waiting), (None, 0));
}

#[tokio::test]
async fn another_run_goes_on_where_the_last_was_confirmed() {
    let control = node();
    let mut out = run(&control);
    out.record(3).await;
    out.confirm(1).await;
    out.confirm(2).await;
    out.eventually(|status| status.last_sent == 2).await;
    drop(out.begun.recv().await);
    out.end().await;
    assert_eq!(mark(&control).await, Some(2));
    run(&control).confirm(3).await;
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told_and_the_rest_goes_on() {
    let control = node();
    control
        .keep("events/fake".to_owned(), Some(json!(5)))
        .await
        .unwrap();
    let mut out = run(&control);
    out.up.send_replace(false);
    // Of these, the record in memory keeps the last 10,000.
    out.record(10_050).await;
    out.up.send_replace(true);
    let mut expected = 51;
    let lost = loop {
        let (event, confirm) = out.next().await;
        assert_eq!(event.sequence, expected);
        expected += 1;
        confirm.send(Ok(())).unwrap();
        if event.event.kind == "node.events-lost" {
            break event;
        }
    };
    assert_eq!(lost.event.data, json!({"from": 6, "to": 50, "events": 45}));
    assert_eq!(lost.sequence, 10_051);
    let status = out.eventually(|status| status.waiting == 0).await;
    assert_eq!((status.lost, status.last_sent), (45, 10_051));
}

#[tokio::test]
async fn what_is_on_its_way_is_bounded() {
    let mut out = run(&node());
    out.record(1000).await;
    out.eventually(|status| status.waiting >= 256).await;
    let mut begun = Vec::new();
    while let Ok(Some(next)) = timeout(Duration::from_millis(300), out.begun.recv()).await {
        begun.push(next);
    }
    assert_eq!(begun.len(), 256);
}

#[tokio::test]
async fn told_to_stop_it_sends_what_there_is_and_ends() {
    let mut out = run(&node());
    out.record(1).await;
    out.confirm(1).await;
    out.eventually(|status| status.waiting == 0).await;
    out.record(2).await;
    out.stop.cancel();
    out.confirm(2).await;
    out.confirm(3).await;
    timeout(Duration::from_secs(5), &mut out.task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(mark(&out.control).await, Some(3));
}
