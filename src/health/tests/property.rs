//! Whatever happens to a group's hosts, in whatever order.

use proptest::prelude::*;
use serde_json::json;

use super::{super::memory::Remembered, group, name, outcome, probed, wanted};

#[derive(Clone, Debug)]
enum Step {
    Probe(usize, bool),
    Fail(usize, u32),
    Wait(u64),
    Hosts(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..=8_usize, any::<bool>()).prop_map(|(host, passed)| Step::Probe(host, passed)),
        4 => (1..=8_usize, 0..7_u32).prop_map(|(host, failures)| Step::Fail(host, failures)),
        2 => (0..90_000_u64).prop_map(Step::Wait),
        1 => (1..=8_usize).prop_map(Step::Hosts),
    ]
}

proptest! {
    #[test]
    fn no_more_than_the_share_is_ever_ejected_and_never_the_last_host_by_its_sessions(
        steps in proptest::collection::vec(step(), 0..200),
        share in 0..=100_u8,
        is_probed in any::<bool>(),
    ) {
        let mut more = json!({"outlier": {"max_ejected": format!("{share}%")}});
        if is_probed {
            more["probe"] = probed();
        }
        let mut hosts = 8;
        let mut group = group(&wanted(hosts, more.clone()));
        let mut now = 0;
        for step in steps {
            let before = group.usable();
            match step {
                Step::Probe(host, passed) => {
                    group.observe(&name(host), now, outcome(passed));
                }
                Step::Fail(host, failures) => {
                    group.count(&name(host), now, failures);
                    prop_assert!(group.usable() >= before.min(1));
                }
                Step::Wait(millis) => now += millis,
                Step::Hosts(number) => {
                    hosts = number;
                    group.become_like(&wanted(hosts, more.clone()), &Remembered::default());
                }
            }
            group.tick(now);
            let ejected = |index: &usize| {
                let outlook = group.report(&name(*index), now).outlook;
                outlook.iter().any(|sentence| sentence.starts_with("it was ejected"))
            };
            let ejected = (1..=hosts).filter(ejected).count();
            prop_assert!(ejected * 100 <= hosts * usize::from(share), "{ejected} of {hosts}");
        }
    }
}
