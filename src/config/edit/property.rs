//! Any change to any file with comments anywhere.

use proptest::prelude::*;

use super::{
    tests::{host, services},
    *,
};
use crate::{
    config::samples,
    model::{
        check::check,
        topology::{Probe, Weight},
    },
};

/// Adds comments to a rendered file: above and at the end of lines, as `mask` says.
fn with_comments(text: &str, mask: &[u8]) -> String {
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        let bits = mask.get(index % mask.len().max(1)).copied().unwrap_or(0);
        if bits & 1 != 0 {
            out.push_str(&format!("# apart {index}\n\n"));
        }
        if bits & 2 != 0 && !line.is_empty() {
            out.push_str(&format!("# above {index} {line}\n"));
        }
        let end = if bits & 4 != 0 && !line.is_empty() {
            format!(" # behind {index} {line}")
        } else {
            String::new()
        };
        out.push_str(&format!("{line}{end}\n"));
    }
    out.push_str("# the end\n");
    out
}

/// The probe of any group of `topology`.
fn any_probe(topology: &Topology) -> Option<Probe> {
    let mut groups = topology.services.iter().flat_map(|service| &service.groups);
    groups.find_map(|group| group.probe.clone())
}

/// A change of any kind to `old`, chosen by `dice`, with parts from `other`.
fn change(old: &Topology, other: &Topology, dice: [usize; 4]) -> Topology {
    let mut next = old.clone();
    let [kind, a, b, c] = dice;
    if next.services.is_empty() || kind == 0 {
        next.services.clone_from(&other.services);
        return next;
    }
    let count = next.services.len();
    if kind == 1 {
        next.services.remove(a % count);
        return next;
    }
    if kind == 2 {
        next.services.reverse();
        return next;
    }
    let service = &mut next.services[a % count];
    let count = service.groups.len();
    let group = &mut service.groups[b % count];
    let hosts = group.hosts.len();
    match kind {
        3 if count > 1 => {
            service.active = None;
            service.backup = None;
            service.groups.remove(b % count);
        }
        4 if hosts > 0 => drop(group.hosts.remove(c % hosts)),
        5 => group
            .hosts
            .insert(c % (hosts + 1), host("added.to.it", "10.9.9.9:99")),
        6 if hosts > 0 => group.hosts[c % hosts].weight = Weight::try_from(77).unwrap(),
        7 if hosts > 0 => group.hosts[c % hosts].max_sessions = None,
        8 => group.sticky = None,
        12 => group.probe.clone_from(&any_probe(other)),
        9 => group.hosts.reverse(),
        10 => {
            service.backup = None;
            service.groups.reverse();
        }
        11 => service.timeouts = crate::model::topology::Timeouts::default(),
        _ => service.active = None,
    }
    next
}

/// What a line of a rendered file is about: names of service, group and host, and the key.
#[derive(Clone, Default)]
struct About {
    names: Vec<String>,
    is_header: bool,
    /// Whether it is a line within a table of settings.
    is_inner: bool,
    /// Its own key there.
    inner: String,
    key: String,
}

/// For each line of a rendered file with comments, what it is about; none for blank lines.
fn abouts(text: &str) -> Vec<Option<About>> {
    let lines: Vec<_> = text.lines().collect();
    let mut names: Vec<String> = Vec::new();
    let mut table = String::new();
    let mut abouts = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let line = line.split(" #").next().unwrap();
        let is_header = line.starts_with('[');
        if line.starts_with("[[") {
            let name = lines[index..]
                .iter()
                .find_map(|line| line.strip_prefix("name = \""));
            names.truncate(line.matches('.').count());
            names.push(name.unwrap().split('"').next().unwrap().to_owned());
            table.clear();
        } else if is_header {
            table = line
                .trim_end_matches(']')
                .rsplit('.')
                .next()
                .unwrap()
                .to_owned();
        }
        let own = line.split(" =").next().unwrap();
        let key = if table.is_empty() && !is_header {
            own
        } else {
            &table
        };
        let about = About {
            names: names.clone(),
            is_header: line.starts_with("[["),
            is_inner: !table.is_empty() && !is_header,
            inner: own.to_owned(),
            key: key.to_owned(),
        };
        abouts.push((!line.is_empty() && !line.starts_with('#')).then_some(about));
    }
    abouts
}

/// Whether what `about` is about is in `topology`.
fn is_there(about: &About, topology: &Topology) -> bool {
    let mut names = about.names.iter();
    let Some(name) = names.next() else {
        return true;
    };
    let mut services = topology.services.iter();
    let Some(service) = services.find(|service| service.name.as_str() == name) else {
        return false;
    };
    let key = about.key.as_str();
    let Some(name) = names.next() else {
        let limits = service.limits != crate::model::topology::Limits::default();
        return match key {
            "active" => service.active.is_some(),
            "limits" => limits,
            "backup" => service.backup.is_some(),
            "rebalance" => service.rebalance.is_some(),
            _ => true,
        };
    };
    let mut groups = service.groups.iter();
    let Some(group) = groups.find(|group| group.name.as_str() == name) else {
        return false;
    };
    let Some(name) = names.next() else {
        return match key {
            "sticky" => group.sticky.is_some(),
            "probe" => has_key(group.probe.as_ref(), about),
            "outlier" => group.outlier.is_some(),
            "slow_start" => group.slow_start.is_some(),
            "panic" => group.panic.is_some(),
            _ => true,
        };
    };
    let mut hosts = group.hosts.iter();
    let Some(host) = hosts.find(|host| host.name.as_str() == name) else {
        return false;
    };
    key != "max_sessions" || host.max_sessions.is_some()
}

/// Whether there is a probe, with the key of its own that `about` is about.
fn has_key(probe: Option<&Probe>, about: &About) -> bool {
    let Some(probe) = probe else {
        return false;
    };
    let keys = serde_json::to_value(probe).unwrap();
    !about.is_inner || keys.get(&about.inner).is_some()
}

fn belongs_to_removed(text: &str, index: usize, next: &Topology) -> bool {
    let lines: Vec<_> = text.lines().collect();
    let abouts = abouts(text);
    let Some(place) = (index..lines.len()).find(|place| abouts[*place].is_some()) else {
        return false;
    };
    let mut about = abouts[place].clone().unwrap();
    if lines[index..place].iter().any(|line| line.is_empty()) {
        if about.is_header {
            about.names.pop();
        }
        if !about.is_inner {
            about.key.clear();
        }
    }
    !is_there(&about, next)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_change_gives_what_was_asked_for_and_keeps_every_other_comment(
        old in samples::topology(),
        other in samples::topology(),
        mask in proptest::collection::vec(0..8_u8, 1..40),
        dice in [0..14_usize, 0..9_usize, 0..9_usize, 0..9_usize],
    ) {
        let text = with_comments(&render(&old), &mask);
        prop_assert_eq!(&services(&text), &old);
        let next = change(&old, &other, dice);
        // What no file may have, no command leads to.
        prop_assume!(check(&next).is_empty());
        let new = edit(&text, &old, &next)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&services(&new), &next);
        let care = attempt(text.parse().unwrap(), &old, &next, Care::Values);
        prop_assert_eq!(care.ok(), Some(new.clone()), "the careful way did not do\n{}", text);
        for (index, line) in text.lines().enumerate() {
            let comment = line.find("# ").map_or("", |start| &line[start..]);
            if !new.contains(comment) {
                let is_gone = belongs_to_removed(&text, index, &next);
                prop_assert!(is_gone, "{comment}\n{text}\n=>\n{new}");
            }
        }
    }
}
