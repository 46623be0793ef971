//! Access rules, made ready to be asked: one search in a sorted list, however many rules there are.
//! It must not know where a client's address was learnt.

use std::{collections::BTreeSet, net::IpAddr};

use crate::model::network::{Access, AccessRule};

/// Who is let in, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    /// Whether those without an address are turned away: of them only rules about all speak.
    turns_away_others: bool,
}

/// Where the verdict changes: from each address on, whether clients are let in. What lies before
/// the first is let in.
type Ranges<N> = Box<[(N, bool)]>;

impl AccessList {
    /// The list that lets in whom the first of `rules` that is about them allows, and whom none is
    /// about.
    pub fn new(rules: &[AccessRule]) -> Self {
        let v4 = ranges(rules, true, u32::MAX.into());
        let v6 = ranges(rules, false, u128::MAX);
        let others = rules.iter().find(|rule| rule.network.is_none());
        Self {
            // No address of IPv4 has more than 32 bits.
            v4: v4
                .into_iter()
                .map(|(from, allowed)| (from as u32, allowed))
                .collect(),
            v6: v6.into(),
            turns_away_others: others.is_some_and(|rule| rule.access == Access::Deny),
        }
    }

    /// Whether it lets everybody in.
    pub fn is_open(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty() && !self.turns_away_others
    }

    /// Whether `client` is let in; `None`: one without an address. An IPv4 address inside IPv6 counts as what it is.
    pub fn allows(&self, client: Option<IpAddr>) -> bool {
        match client.map(|client| client.to_canonical()) {
            Some(IpAddr::V4(client)) => verdict(&self.v4, u32::from(client)),
            Some(IpAddr::V6(client)) => verdict(&self.v6, u128::from(client)),
            None => !self.turns_away_others,
        }
    }
}

fn verdict<N: Ord + Copy>(ranges: &[(N, bool)], client: N) -> bool {
    let after = ranges.partition_point(|(from, _)| *from <= client);
    after
        .checked_sub(1)
        .and_then(|index| ranges.get(index))
        .is_none_or(|(_, allowed)| *allowed)
}

/// Goes through the addresses from 0 to `last`, and notes where the first rule that holds says
/// something else than before.
fn ranges(rules: &[AccessRule], ipv4: bool, last: u128) -> Vec<(u128, bool)> {
    // (address, begins here, which rule); networks end before the address at which they stop.
    let mut edges = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let (first, end) = match rule.network {
            None => (0, last),
            Some(network) if network.is_ipv4() == ipv4 => network.range(),
            Some(_) => continue,
        };
        edges.push((first, true, index));
        if end < last {
            edges.push((end + 1, false, index));
        }
    }
    edges.sort_unstable();
    let mut holding = BTreeSet::new();
    let mut ranges: Vec<(u128, bool)> = Vec::new();
    for here in edges.chunk_by(|one, other| one.0 == other.0) {
        for (_, begins, index) in here {
            if *begins {
                holding.insert(*index);
            } else {
                holding.remove(index);
            }
        }
        let rule = holding.first().and_then(|index| rules.get(*index));
        let allowed = rule.is_none_or(|rule| rule.access == Access::Allow);
        let before = ranges.last().is_none_or(|(_, before)| *before);
        if allowed != before {
            ranges.extend(here.first().map(|(from, _, _)| (*from, allowed)));
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// What the list says, in the words of the rules: for the tests.
    fn first_match(rules: &[AccessRule], client: IpAddr) -> bool {
        let about =
            |rule: &&AccessRule| rule.network.is_none_or(|network| network.contains(client));
        rules
            .iter()
            .find(about)
            .is_none_or(|rule| rule.access == Access::Allow)
    }

    fn rules(texts: &[&str]) -> Vec<AccessRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn allows(texts: &[&str], client: &str) -> bool {
        AccessList::new(&rules(texts)).allows(Some(client.parse().unwrap()))
    }

    #[test]
    fn the_first_rule_that_is_about_a_client_decides() {
        let office = ["allow 10.1.0.0/16", "deny 10.0.0.0/8", "allow 10.2.0.0/16"];
        assert!(allows(&office, "10.1.2.3"));
        assert!(!allows(&office, "10.2.2.3"));
        assert!(allows(&office, "11.0.0.1"));
        assert!(allows(&office, "::1"));
    }

    #[test]
    fn rules_about_one_family_say_nothing_of_the_other_and_all_is_both() {
        assert!(allows(&["deny 0.0.0.0/0"], "::1"));
        assert!(!allows(&["deny 0.0.0.0/0"], "::ffff:1.2.3.4"));
        assert!(!allows(&["deny all"], "::1"));
    }

    #[test]
    fn only_rules_about_all_are_about_those_without_an_address() {
        let allows = |texts: &[&str]| AccessList::new(&rules(texts)).allows(None);
        assert!(allows(&["deny 0.0.0.0/0", "deny ::/0"]));
        assert!(!allows(&["allow 0.0.0.0/0", "deny all", "allow all"]));
        assert!(allows(&["allow all", "deny all"]));
        assert!(!AccessList::new(&rules(&["allow 0.0.0.0/0", "allow ::/0", "deny all"])).is_open());
    }

    #[test]
    fn without_rules_it_is_open() {
        assert!(AccessList::new(&[]).is_open());
        assert!(AccessList::new(&rules(&["allow all", "deny all"])).is_open());
        assert!(!AccessList::new(&rules(&["deny ::1"])).is_open());
    }

    fn rule() -> impl Strategy<Value = AccessRule> {
        let v4 = (0u32..16, 28u8..=32).prop_map(|(low, bits)| {
            let low = low & u32::MAX.checked_shl(u32::from(32 - bits)).unwrap_or(0);
            format!("{}/{bits}", Ipv4Addr::from(0x0a00_0000 | low))
        });
        let v6 = (0u128..16, 124u8..=128).prop_map(|(low, bits)| {
            let low = low & u128::MAX.checked_shl(u32::from(128 - bits)).unwrap_or(0);
            format!("{}/{bits}", Ipv6Addr::from(low))
        });
        let whom = prop_oneof![8 => v4, 8 => v6, 1 => Just("all".to_owned())];
        (any::<bool>(), whom).prop_map(|(allow, whom)| {
            let verdict = if allow { "allow" } else { "deny" };
            format!("{verdict} {whom}").parse().unwrap()
        })
    }

    proptest! {
        #[test]
        fn it_says_the_same_as_reading_the_rules_one_by_one(
            rules in prop::collection::vec(rule(), 0..12)
        ) {
            let list = AccessList::new(&rules);
            for low in 0..18u32 {
                let v4 = IpAddr::V4((0x0a00_0000 | low).into());
                let v6 = IpAddr::V6(u128::from(low).into());
                prop_assert_eq!(list.allows(Some(v4)), first_match(&rules, v4));
                prop_assert_eq!(list.allows(Some(v6)), first_match(&rules, v6));
            }
        }
    }
}
