//! The stream of events: each, in order, and from where its reader left off.
//! It must not be about what events say.

use serde_json::{Value, json};

use crate::{config, hosts, node::Node};

fn weight(weight: u64) -> Value {
    json!({"command": "set-weight", "host": "web/blue/w1", "weight": weight})
}

#[tokio::test]
async fn a_reader_gets_each_event_in_order_and_goes_on_where_it_left_off() {
    let mut node = Node::start(&config(&hosts())).await;
    let mut stream = node.stream(None, None);
    for number in 2..12 {
        node.done(weight(number));
    }
    // Three each: the host, the configuration, the command.
    let live: Vec<(u64, Value)> = (0..30).map(|_| stream.next().unwrap()).collect();
    let first = live[0].0;
    let ids: Vec<u64> = live.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, (first..first + 30).collect::<Vec<_>>());
    for (id, event) in &live {
        assert_eq!(event["sequence"], id.to_string());
    }
    let listed = node.events(first - 1);
    assert!(live.iter().map(|(_, event)| event).eq(listed.iter()));

    let mut again = node.stream(None, Some(first + 9));
    let resumed: Vec<_> = (0..20).map(|_| again.next().unwrap()).collect();
    assert_eq!(resumed, live[10..]);
    node.done(weight(1));
    assert_eq!(again.next().unwrap().0, first + 30);

    let mut all = node.stream(None, Some(0));
    assert_eq!(all.next().unwrap().0, 1);
    node.down().await;
    node.up().await;
    let mut after = node.stream(None, Some(first + 32));
    let kinds: Vec<Value> = (0..2)
        .map(|_| after.next().unwrap().1["type"].clone())
        .collect();
    assert_eq!(kinds, ["pointsman.node.stopping", "pointsman.node.started"]);
}
