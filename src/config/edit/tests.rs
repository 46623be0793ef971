//! What `edit` keeps and what it changes.

use super::*;
use crate::{
    config::parse,
    model::topology::{Admin, Host, Weight},
};

const COMMENTED: &str = include_str!("../../../tests/data/edit/commented.toml");

pub(super) fn services(text: &str) -> Topology {
    parse(text).unwrap().topology
}

/// The text after a change, and its lines that were not there and those that are gone.
fn changed(text: &str, change: impl FnOnce(&mut Topology)) -> (String, Vec<String>, Vec<String>) {
    let old = services(text);
    let mut next = old.clone();
    change(&mut next);
    let new = edit(text, &old, &next).unwrap();
    assert_eq!(services(&new), next);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(text), lines(&new));
    let added = after.iter().filter(|line| !before.contains(line)).cloned();
    let gone = before.iter().filter(|line| !after.contains(line)).cloned();
    (new.clone(), added.collect(), gone.collect())
}

pub(super) fn host(name: &str, address: &str) -> Host {
    Host {
        name: name.parse().unwrap(),
        address: address.parse().unwrap(),
        weight: Weight::default(),
        max_sessions: None,
        admin: Admin::Enabled,
    }
}

#[test]
fn a_changed_value_changes_its_line_and_nothing_else() {
    let (_, added, gone) = changed(COMMENTED, |next| {
        next.services[0].groups[0].hosts[0].weight = Weight::default();
    });
    assert_eq!(added, ["    weight = 1  # was 10"]);
    assert_eq!(gone, ["    weight = 5  # was 10"]);
}

#[test]
fn a_key_is_put_at_its_place_and_taken_out_with_its_comment() {
    let (text, added, _) = changed(COMMENTED, |next| {
        next.services[0].groups[0].hosts[1].weight = Weight::try_from(7).unwrap();
        next.services[0].groups[1].hosts[0].admin = Admin::Disabled;
    });
    assert!(
        text.contains("    address = \"10.0.0.2:7001\"\n    weight = 7\n"),
        "{text}"
    );
    let inline =
        "    { name = \"w1\", address = \"10.0.1.1:7001\", admin = \"disabled\" }, # first rack";
    assert_eq!(added, ["    weight = 7", inline]);
    let (_, added, gone) = changed(COMMENTED, |next| {
        next.services[0].groups[0].hosts[0].max_sessions = None;
    });
    assert_eq!(added, [""; 0]);
    assert_eq!(
        gone,
        ["    # it has little memory", "    max_sessions = 500"]
    );
}

#[test]
fn a_host_is_added_beside_the_others_of_its_group() {
    let (text, _, gone) = changed(COMMENTED, |next| {
        let groups = &mut next.services[0].groups;
        groups[0].hosts.push(host("w4", "10.0.0.4:7001"));
        groups[1].hosts.push(host("w3", "10.0.1.3:7001"));
    });
    assert_eq!(gone, [""; 0]);
    let table =
        "\n    [[service.group.host]]\n    name = \"w4\"\n    address = \"10.0.0.4:7001\"\n";
    let (before, after) = text.split_once(table).expect(&text);
    assert!(
        before.contains("name = \"w3\"") && after.contains("green: the hosts"),
        "{text}"
    );
    let inline = "# second rack\n    { name = \"w3\", address = \"10.0.1.3:7001\" },\n";
    assert!(text.contains(inline), "{text}");
}

#[test]
fn a_removed_host_takes_its_own_comments_with_it_and_no_others() {
    let (_, added, gone) = changed(COMMENTED, |next| {
        next.services[0].groups[0].hosts.remove(2);
        next.services[0].groups[1].hosts.remove(1);
    });
    assert_eq!(added, [""; 0]);
    assert_eq!(
        gone,
        [
            "    # w3 is new, too.",
            "    name = \"w3\"",
            "    address = \"10.0.0.3:7001\"",
            "    # the second",
            "    { name = \"w2\", address = \"10.0.1.2:7001\", weight = 2 }, # second rack",
        ]
    );
}

#[test]
fn groups_and_services_come_and_go_beside_their_siblings() {
    let (text, _, gone) = changed(COMMENTED, |next| {
        let mut group = next.services[0].groups[0].clone();
        group.name = "red".parse().unwrap();
        next.services[0].groups.push(group);
        let mut service = next.services[1].clone();
        service.name = "news".parse().unwrap();
        service.listen = vec!["127.0.0.1:119".parse().unwrap()];
        next.services.insert(1, service);
    });
    assert_eq!(gone, [""; 0]);
    let places = [
        "\"green\"",
        "\"red\"",
        "\"news\"",
        "# Its mail.",
        "\"mail\"",
        "# --- people",
    ];
    let places: Vec<_> = places
        .iter()
        .map(|word| text.find(word).expect(&text))
        .collect();
    assert!(places.is_sorted(), "{text}");
    let (text, _, gone) = changed(COMMENTED, |next| {
        next.services[0].groups.remove(0);
        next.services[0].active = None;
        next.services.remove(1);
    });
    assert!(
        text.contains("  # blue: the hosts of the first room\n\n"),
        "{text}"
    );
    assert!(gone.contains(&"# Its mail.".to_owned()), "{gone:?}");
}

#[test]
fn without_any_service_the_file_says_so_and_takes_new_ones() {
    let (text, ..) = changed(COMMENTED, |next| next.services.clear());
    assert!(text.contains("service = []\n"), "{text}");
    assert!(
        text.contains("# --- services ---\n") && text.contains("# --- people ---\n"),
        "{text}"
    );
    let old = services(COMMENTED);
    let again = edit(&text, &services(&text), &old).unwrap();
    assert_eq!(services(&again), old);
    let (text, ..) = changed("service = [] # none yet\n[node]\nname = \"a\"\n", |next| {
        *next = old.clone();
    });
    assert!(
        text.starts_with("[node]\nname = \"a\"\n\n# none yet\n[[service]]\n"),
        "{text}"
    );
}

#[test]
fn another_order_moves_the_tables_with_their_comments() {
    let (text, added, gone) = changed(COMMENTED, |next| {
        next.services[0].groups[0].hosts.reverse();
        next.services[0].groups[1].hosts.reverse();
        next.services.reverse();
    });
    assert_eq!((added.len(), gone.len()), (0, 0), "{added:?} {gone:?}");
    let places = [
        "# --- services",
        "# Its mail.",
        "# The shop",
        "# w3 is",
        "# w1 is",
        "# --- people",
    ];
    let places: Vec<_> = places
        .iter()
        .map(|word| text.find(word).expect(&text))
        .collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn line_ends_and_the_mark_at_the_start_stay() {
    let text = format!("\u{feff}{}", COMMENTED.replace('\n', "\r\n"));
    let (new, ..) = changed(&text, |next| {
        next.services[0].groups[0].hosts.remove(1);
        next.services[0].groups[0]
            .hosts
            .push(host("w4", "10.0.0.4:7001"));
    });
    assert!(new.starts_with('\u{feff}') && !new.replace("\r\n", "").contains('\n'));
}

#[test]
fn a_wrong_notion_of_what_the_file_says_is_made_good() {
    let old = services(COMMENTED);
    let mut next = old.clone();
    next.services[0].groups[0].hosts.truncate(1);
    for old in [&Topology::default(), &next] {
        let text = edit(COMMENTED, old, &next).unwrap();
        assert_eq!(services(&text), next);
        assert!(text.contains("name = \"lb1\" # as in the DNS\n"), "{text}");
    }
    assert!(matches!(edit("[", &old, &next), Err(EditError::NotToml(_))));
    next.services[0].groups.clear();
    assert_eq!(edit(COMMENTED, &old, &next), Err(EditError::NotTheSame));
}
