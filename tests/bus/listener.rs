//! Somebody who listens to events, and misses none: the broker keeps them while it is away.
//! It must not trust the broker to deliver each once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pointsman::stomp::{Acknowledge, Client, Incoming, Subscribe, Subscription, frame::Body};
use serde_json::Value;

use crate::{activemq::ActiveMq, examples::assert_documented, support::soon};

/// A subscription to events, and those that came.
pub(crate) struct Listener {
    _client: Client,
    subscription: Subscription,
    /// The events of each node in the order in which they came, none twice; and the heartbeats.
    pub(crate) heard: Vec<Value>,
    pub(crate) heartbeats: Vec<Value>,
}

impl Listener {
    /// Listens to all events that `selector` selects, if there is one.
    pub(crate) async fn at(broker: &ActiveMq, selector: Option<&str>) -> Self {
        Self::with(broker, selector, Vec::new()).await
    }

    /// Listens to all events, also to those that are sent while there is no connection.
    pub(crate) async fn durable(broker: &ActiveMq) -> Self {
        let name = (
            "activemq.subscriptionName".to_owned(),
            "listener".to_owned(),
        );
        Self::with(broker, None, vec![name]).await
    }

    async fn with(
        broker: &ActiveMq,
        selector: Option<&str>,
        mut headers: Vec<(String, String)>,
    ) -> Self {
        let mut options = broker.options("viewer");
        if !headers.is_empty() {
            options.client_id = Some("listener".to_owned());
        }
        let client = Client::open(options);
        headers.push(("activemq.prefetchSize".to_owned(), "20000".to_owned()));
        headers.extend(selector.map(|selector| ("selector".to_owned(), selector.to_owned())));
        let subscribe = Subscribe {
            destination: "/topic/pointsman.events.>".to_owned(),
            acknowledge: Acknowledge::Individually,
            headers,
            room: 20_000,
        };
        let mut subscription = client.subscribe(subscribe).await.unwrap();
        assert_eq!(soon(subscription.next()).await, Some(Incoming::Ready));
        Self {
            _client: client,
            subscription,
            heard: Vec::new(),
            heartbeats: Vec::new(),
        }
    }

    /// Listens on until an event has come for which `is` holds, and returns it.
    pub(crate) async fn until(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next().await;
            if is(&event) {
                return event;
            }
        }
    }

    /// The next event that was not heard before.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let Incoming::Message(delivery) = patiently(self.subscription.next()).await.unwrap()
            else {
                continue;
            };
            let Body::Whole(body) = &delivery.body else {
                panic!("an event too long to keep");
            };
            let event: Value = serde_json::from_slice(body).unwrap();
            assert_documented(&event);
            let header = |name: &'static str| delivery.headers.get(name);
            for name in ["type", "source", "subject", "id"] {
                let header = delivery.headers.get(&format!("cloudEvents_{name}"));
                assert_eq!(header, event[name].as_str());
            }
            assert_eq!(header("content-type"), Some("application/cloudevents+json"));
            assert_eq!(header("JMSXUserID"), Some("pointsman"));
            let kind = event["type"].as_str().unwrap();
            let category = kind.split('.').nth(1).unwrap();
            let category = if category == "group" {
                "service"
            } else {
                category
            };
            let topic = format!("/topic/pointsman.events.{category}");
            assert_eq!(header("destination"), Some(&*topic));
            let beats = kind == "pointsman.node.heartbeat";
            assert_eq!(header("persistent"), (!beats).then_some("true"));
            if beats {
                assert_eq!(event.get("sequence"), None);
                self.heartbeats.push(event.clone());
                return event;
            }
            if !self.heard.iter().any(|heard| heard["id"] == event["id"]) {
                self.heard.push(event.clone());
                return event;
            }
        }
    }

    /// Asserts that of each node every event has come, from the first, those of each category in
    /// order. The order over categories is only kept for whom the broker has nothing to keep.
    pub(crate) fn assert_complete(&self) {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let mut numbers: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for event in &self.heard {
            let kind = event["type"].as_str().unwrap().split('.').nth(1).unwrap();
            let kind = if kind == "group" { "service" } else { kind };
            let source = event["source"].as_str().unwrap();
            let last = last.entry(format!("{source} {kind}")).or_default();
            *last += 1;
            assert_eq!(number(event, "categorysequence"), *last, "{event}");
            numbers
                .entry(source)
                .or_default()
                .insert(number(event, "sequence"));
        }
        assert!(!numbers.is_empty());
        for (source, numbers) in numbers {
            let newest = *numbers.last().unwrap();
            let missing: Vec<_> = (1..=newest)
                .filter(|number| !numbers.contains(number))
                .collect();
            assert_eq!(missing, [0; 0], "of {source}");
        }
    }

    /// Asserts that they have come in the order of the node too.
    pub(crate) fn assert_in_order(&self) {
        for (index, event) in self.heard.iter().enumerate() {
            assert_eq!(number(event, "sequence"), index as u64 + 1, "{event}");
        }
    }
}

fn number(event: &Value, key: &str) -> u64 {
    event[key].as_str().unwrap().parse().unwrap()
}

/// Waits as long as it may take both sides to find a broker again.
async fn patiently<T>(future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(45), future).await;
    waited.expect("took over 45 seconds")
}
