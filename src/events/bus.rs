//! The message bus as a sink: each event as a CloudEvent to the topic of its category.
//! It must not hold a secret back or change an event; what is in the journal is what is sent.

use serde_json::Value;
use tokio::sync::watch;

use super::{Confirmation, Sink};
use crate::{
    control::{Control, cloud_event::cloud_event, record::Recorded},
    stomp::{Client, Error, Link, Send},
};

/// The longest header value that is sent, in characters: brokers bound their headers.
const MAX_HEADER: usize = 1024;

/// Events over a connection to the bus.
#[derive(Debug)]
pub struct BusSink {
    client: Client,
    link: watch::Receiver<Link>,
    control: Control,
    prefix: String,
}

impl BusSink {
    /// Events of the node behind `control`, over `client`, to `/topic/<prefix>.events.<category>`.
    pub fn new(client: Client, control: Control, prefix: String) -> Self {
        Self {
            link: client.link(),
            client,
            control,
            prefix,
        }
    }
}

impl Sink for BusSink {
    async fn ready(&mut self) {
        let up = self.link.wait_for(|link| matches!(link, Link::Up { .. }));
        if up.await.is_err() {
            // Closed: never again.
            std::future::pending().await
        }
    }

    async fn begin(&mut self, recorded: &Recorded) -> Result<Confirmation, String> {
        let event = cloud_event(recorded, self.control.node(), self.control.epoch());
        let category = Value::from(serde_json::to_value(recorded.event.category).ok());
        let category = category.as_str().unwrap_or("node").to_owned();
        let mut message = message(&self.prefix, &category, &event).header("persistent", "true");
        if let Some(id) = cause(recorded) {
            message = message.header("correlation-id", header(id));
        }
        let begun = self.client.begin(message).await;
        let receipt = begun.map_err(|error| error.to_string())?;
        let confirmed = async {
            receipt
                .confirmed()
                .await
                .map_err(|error: Error| error.to_string())
        };
        Ok(Box::pin(confirmed))
    }
}

/// The message that carries `event`, a CloudEvent, in the structured mode.
pub(super) fn message(prefix: &str, category: &str, event: &Value) -> Send {
    let text = |key: &str| header(event.get(key).and_then(Value::as_str).unwrap_or_default());
    Send::new(format!("/topic/{prefix}.events.{category}"))
        .header("content-type", "application/cloudevents+json")
        .header("cloudEvents_type", text("type"))
        .header("cloudEvents_source", text("source"))
        .header("cloudEvents_subject", text("subject"))
        .header("cloudEvents_id", text("id"))
        .body(event.to_string())
}

/// The id of the command that an event is about, as its sender gave it.
fn cause(recorded: &Recorded) -> Option<&str> {
    recorded.event.data.get("id")?.as_str()
}

/// `text` as it can stand in a header: a subject may be whatever somebody typed for a name.
fn header(text: &str) -> String {
    let sayable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(sayable).take(MAX_HEADER).collect()
}
