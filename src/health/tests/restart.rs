//! What is known of hosts over a restart.

use serde_json::json;

use super::{
    super::{group::Group, memory::Remembered, report::Health},
    group, name, probe, probed, usable, wanted,
};

#[test]
fn health_outlives_a_restart() {
    let more = json!({"probe": probed(), "outlier": {}, "slow_start": "30s"});
    let config = wanted(3, more);
    let mut before = group(&config);
    probe(&mut before, 1, 1000, "---");
    before.count(&name(2), 2000, 5);
    probe(&mut before, 3, 2000, "+");
    let kept = serde_json::to_value(before.remember()).unwrap();
    let kept: Remembered = serde_json::from_value(kept).unwrap();
    let mut after = Group::default();
    after.become_like(&config, &kept);
    assert!(!after.tick(3000) || after.take_news().is_empty());
    assert_eq!(usable(&after, 3), [3]);
    assert_eq!(after.back_since(&name(3)), None, "it was never away");
    let report = after.report(&name(1), 3000);
    assert_eq!((report.health, report.since), (Health::Down, Some(1000)));
    probe(&mut after, 2, 32_000, "+");
    assert_eq!(usable(&after, 3), [2, 3]);
    assert_eq!(after.back_since(&name(2)), Some(32_000));
}
