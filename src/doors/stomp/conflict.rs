//! Looks out for another node that has our name and takes our messages.
//! It must not act on what nodes of other names say.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::bus::Bus;
use crate::{
    model::event::Event,
    stomp::{Acknowledge, Client, Incoming, Subscribe, frame::Body},
};

/// Events of nodes that may wait here; more are left out, and the next heartbeat says it again.
const ROOM: usize = 64;

/// Cancels `clash` once a node of our name, with another journal, is heard.
pub(super) async fn look(bus: Arc<Bus>, client: Client, clash: CancellationToken) {
    let subscribe = Subscribe {
        destination: format!("/topic/{}.events.node", bus.options.prefix),
        acknowledge: Acknowledge::Auto,
        headers: Vec::new(),
        room: ROOM,
    };
    let Ok(mut subscription) = client.subscribe(subscribe).await else {
        return;
    };
    while let Some(incoming) = subscription.next().await {
        let delivery = match incoming {
            Incoming::Message(delivery) => delivery,
            Incoming::Refused(why) => {
                tracing::warn!(why, "another node of our name would not be noticed");
                continue;
            }
            Incoming::Ready | Incoming::Missed(_) => continue,
        };
        let Body::Whole(body) = &delivery.body else {
            continue;
        };
        if let Some(other) = other_epoch(body, bus.node(), bus.control.epoch()) {
            tracing::error!(
                other,
                "another node has our name: nothing more is taken from the bus"
            );
            let data = json!({"epoch": bus.control.epoch(), "other_epoch": other});
            let event = Event::new("node.conflict", bus.node(), data);
            if let Err(error) = bus.control.record(vec![event]).await {
                tracing::error!(%error, "that cannot be recorded");
            }
            // Until the next start: which of the two is right is for people to say.
            clash.cancel();
            return;
        }
    }
}

/// The epoch of an event by which a node of our `name` says that it runs, if it is not `ours`.
fn other_epoch(event: &[u8], name: &str, ours: &str) -> Option<String> {
    let event: Value = serde_json::from_slice(event).ok()?;
    let text = |name| event.get(name).and_then(Value::as_str);
    let kind = text("type")?;
    let runs = kind == "pointsman.node.started" || kind == "pointsman.node.heartbeat";
    let named = text("source")? == format!("/pointsman/{name}");
    let epoch = text("epoch")?;
    (runs && named && epoch != ours).then(|| epoch.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_node_of_our_name_and_another_journal_is_a_conflict() {
        let event = |kind: &str, source: &str, epoch: &str| {
            json!({"type": kind, "source": source, "epoch": epoch}).to_string()
        };
        let other = |text: &str| other_epoch(text.as_bytes(), "lb1", "ours");
        let started = "pointsman.node.started";
        let theirs = Some("theirs".to_owned());
        assert_eq!(other(&event(started, "/pointsman/lb1", "theirs")), theirs);
        let heartbeat = "pointsman.node.heartbeat";
        assert_eq!(other(&event(heartbeat, "/pointsman/lb1", "theirs")), theirs);
        assert_eq!(other(&event(started, "/pointsman/lb1", "ours")), None);
        assert_eq!(other(&event(started, "/pointsman/lb2", "theirs")), None);
        let stopping = "pointsman.node.stopping";
        assert_eq!(other(&event(stopping, "/pointsman/lb1", "theirs")), None);
        assert_eq!(other("no event"), None);
    }
}
