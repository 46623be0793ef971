//! Somebody who has the broker select: a subscription for each type of event, and one for some.
//! It must not select by itself.

use std::collections::BTreeSet;

use pointsman::stomp::{Acknowledge, Client, Incoming, Subscribe, Subscription, frame::Body};
use serde_json::Value;

use crate::{activemq::ActiveMq, examples, support::soon};

/// More than a test has events.
const ROOM: usize = 5000;

/// What is selected, and what comes.
struct Selected {
    selector: String,
    is: Box<dyn Fn(&Value) -> bool>,
    subscription: Subscription,
}

/// All of them, over one connection.
pub(crate) struct Selecting {
    _client: Client,
    all: Vec<Selected>,
}

impl Selecting {
    pub(crate) async fn at(broker: &ActiveMq) -> Self {
        let client = broker.client("viewer").await;
        let mut all = Vec::new();
        for kind in examples::kinds() {
            let kind = format!("pointsman.{kind}");
            let selector = format!("cloudEvents_type = '{kind}'");
            let is = Box::new(move |event: &Value| event["type"] == *kind);
            all.push(select(&client, selector, is).await);
        }
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let is = Box::new(move |event: &Value| {
            let of_hosts = text(event, "type").starts_with("pointsman.host.");
            of_hosts && text(event, "subject").starts_with("web/")
        });
        let selector =
            "cloudEvents_type LIKE 'pointsman.host.%' AND cloudEvents_subject LIKE 'web/%'";
        all.push(select(&client, selector.to_owned(), is).await);
        Self {
            _client: client,
            all,
        }
    }

    /// Asserts that each subscription gets those of `events` that it selects, and no others.
    pub(crate) async fn assert_get(&mut self, events: &[&Value]) {
        for selected in &mut self.all {
            let due = events.iter().filter(|event| (selected.is)(event));
            let mut due: BTreeSet<_> = due.map(|event| event["id"].to_string()).collect();
            while !due.is_empty() {
                let incoming = soon(selected.subscription.next()).await.unwrap();
                let Incoming::Message(delivery) = incoming else {
                    panic!("{}: {incoming:?}", selected.selector);
                };
                let Body::Whole(body) = &delivery.body else {
                    panic!("an event too long to keep");
                };
                let event: Value = serde_json::from_slice(body).unwrap();
                assert!((selected.is)(&event), "{}: {event}", selected.selector);
                due.remove(&event["id"].to_string());
            }
        }
    }
}

async fn select(client: &Client, selector: String, is: Box<dyn Fn(&Value) -> bool>) -> Selected {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let subscribe = Subscribe {
        destination: "/topic/pointsman.events.>".to_owned(),
        acknowledge: Acknowledge::Individually,
        headers: vec![
            header("selector", selector.clone()),
            header("activemq.prefetchSize", ROOM.to_string()),
        ],
        room: ROOM,
    };
    let mut subscription = client.subscribe(subscribe).await.unwrap();
    assert_eq!(soon(subscription.next()).await, Some(Incoming::Ready));
    Selected {
        selector,
        is,
        subscription,
    }
}
