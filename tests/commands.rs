//! What commands do to the state, whatever comes in whatever order.

#![allow(clippy::unwrap_used, clippy::panic)]

use pointsman::model::{
    catalogue::CATALOGUE,
    check::{Names, check},
    command::{Command, Options, Request},
    error::Code,
    policy::authorize,
    principal::{Door, Principal, Role, Scope},
    state::{Change, Given, State},
    topology::Topology,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn admin() -> Principal {
    Principal::part("tester", Door::Library)
}

fn give(state: &State, request: Value) -> Result<Change, Code> {
    give_told(
        state,
        request,
        &Given {
            now: 1_000,
            ..Given::default()
        },
    )
}

fn give_told(state: &State, request: Value, given: &Given) -> Result<Change, Code> {
    let request = Request::from_json(request).map_err(|error| error.code)?;
    let pending = state.jobs.pending.as_ref().map(|pending| &pending.needs);
    let authorized = authorize(&admin(), request.command, pending).map_err(|error| error.code)?;
    state
        .apply(&authorized, &request.options, given)
        .map_err(|error| error.code)
}

fn state() -> State {
    let topology: Topology = toml::from_str(
        r#"
        [[service]]
        name = "web"
        listen = ["127.0.0.1:8080"]
        [[service.group]]
        name = "blue"
        [[service.group.host]]
        name = "w1"
        address = "10.0.0.1:80"
        [[service.group.host]]
        name = "w2"
        address = "10.0.0.2:80"
        [[service.group]]
        name = "green"
        [[service.group.host]]
        name = "g1"
        address = "10.0.1.1:80"
        "#,
    )
    .unwrap();
    State {
        revision: 1,
        topology,
        ..State::default()
    }
}

#[test]
fn each_command_does_what_its_line_of_help_says() {
    let lines = |request| give(&state(), request).unwrap().lines;
    let host = "web/blue/w1";
    for (request, expected) in [
        (
            json!({"command": "set-weight", "host": host, "weight": 5}),
            "~ web/blue/w1 weight: 1 → 5",
        ),
        (
            json!({"command": "disable-host", "host": host}),
            "~ web/blue/w1 admin: enabled → disabled",
        ),
        (
            json!({"command": "drain-host", "host": host}),
            "~ web/blue/w1 admin: enabled → draining",
        ),
        (
            json!({"command": "activate-group", "group": "web/green"}),
            "~ web active: none → green",
        ),
        (
            json!({"command": "remove-host", "host": host}),
            "- web/blue/w1",
        ),
        (
            json!({"command": "remove-group", "group": "web/green"}),
            "- web/green",
        ),
        (
            json!({"command": "set-host", "host": host, "max_sessions": 9}),
            "~ web/blue/w1 max_sessions: none → 9",
        ),
        (
            json!({"command": "set-group", "group": "web/blue", "scheduler": "random"}),
            "~ web/blue scheduler: round-robin → random",
        ),
        (
            json!({"command": "set-service", "service": "web", "retries": 0}),
            "~ web retries: 2 → 0",
        ),
        (
            json!({"command": "set-listen", "service": "web", "listen": ["127.0.0.1:81"]}),
            "~ web listen: 127.0.0.1:8080 → 127.0.0.1:81",
        ),
        (
            json!({"command": "remove-service", "service": "web"}),
            "- web",
        ),
    ] {
        assert_eq!(lines(request.clone())[0], expected, "{request}");
    }
    let added =
        lines(json!({"command": "add-host", "host": "web/blue/w3", "address": "10.0.0.3:80"}));
    assert!(added[0].starts_with("+ web/blue/w3 "), "{added:?}");
}

#[test]
fn a_refusal_has_the_right_code() {
    for (request, code) in [
        (
            json!({"command": "enable-host", "host": "web/blue/w9"}),
            Code::NotFound,
        ),
        (
            json!({"command": "enable-host", "host": "web"}),
            Code::Invalid,
        ),
        (
            json!({"command": "add-host", "host": "web/blue/w1", "address": "10.0.0.3:80"}),
            Code::Conflict,
        ),
        (
            json!({"command": "remove-group", "group": "web/blue"}),
            Code::Conflict,
        ),
        (
            json!({"command": "set-weight", "host": "web/blue/w1", "weight": 257}),
            Code::Invalid,
        ),
        (
            json!({"command": "set-host", "host": "web/blue/w1", "wieght": 2}),
            Code::Invalid,
        ),
        (
            json!({"command": "set-host", "host": "web/blue/w1", "wieght": null}),
            Code::Invalid,
        ),
        (
            json!({"command": "set-service", "service": "web", "listen": []}),
            Code::Invalid,
        ),
        (json!({"command": "status", "junk": 1}), Code::Invalid),
        (json!({"command": "status", "dry_run": true}), Code::Invalid),
        (json!({"command": "confirm"}), Code::Conflict),
        (json!({"command": "no-such"}), Code::Invalid),
        (
            json!({"command": "enable-host", "host": "web/blue/w1", "expect_revision": 7}),
            Code::Conflict,
        ),
        (json!([]), Code::Invalid),
    ] {
        assert_eq!(
            give(&state(), request.clone()).map(|_| ()),
            Err(code),
            "{request}"
        );
    }
}

#[test]
fn the_last_host_of_the_active_group_stays() {
    let one = give(
        &state(),
        json!({"command": "disable-host", "host": "web/blue/w2"}),
    )
    .unwrap()
    .next;
    for name in ["disable-host", "drain-host", "remove-host"] {
        let request = json!({"command": name, "host": "web/blue/w1"});
        assert_eq!(
            give(&one, request).map(|_| ()),
            Err(Code::Conflict),
            "{name}"
        );
    }
    let none = json!({"command": "set-weight", "host": "web/blue/w1", "weight": 0});
    assert_eq!(give(&one, none).map(|_| ()), Err(Code::Conflict));
    let elsewhere = json!({"command": "remove-host", "host": "web/green/g1"});
    assert!(
        give(&one, elsewhere).is_ok(),
        "the last host of a group that is not active may go"
    );
}

#[test]
fn while_a_change_waits_to_be_confirmed_nothing_else_changes() {
    let request = json!({"command": "set-weight", "host": "web/blue/w1", "weight": 5, "confirm_within": "5s"});
    let waiting = give(&state(), request).unwrap().next;
    assert_eq!(
        waiting
            .jobs
            .pending
            .as_ref()
            .map(|pending| (pending.restore, pending.until)),
        Some((1, 6_000))
    );
    let other = json!({"command": "set-weight", "host": "web/blue/w2", "weight": 5});
    assert_eq!(give(&waiting, other).map(|_| ()), Err(Code::Conflict));
    let confirmed = give(&waiting, json!({"command": "confirm"})).unwrap().next;
    assert_eq!((confirmed.jobs.pending, confirmed.revision), (None, 2));
    let told = Given {
        now: 2_000,
        topology: Some(state().topology),
        names: None,
    };
    let back = give_told(
        &waiting,
        json!({"command": "rollback", "revision": 1}),
        &told,
    )
    .unwrap()
    .next;
    assert_eq!(
        (back.revision, back.topology, back.jobs.pending),
        (3, state().topology, None)
    );
}

#[test]
fn a_name_that_the_settings_lack_is_refused_where_they_are_known() {
    let probe = json!({"kind": "exec", "program": "check"});
    let mut topology = json!(state().topology);
    topology["service"][0]["group"][0]["probe"] = probe;
    let replace = |names: Option<Names>| {
        let request = json!({"command": "replace", "services": topology["service"]});
        let given = Given {
            names,
            ..Given::default()
        };
        give_told(&state(), request, &given).map(|change| change.next.revision)
    };
    assert_eq!(replace(Some(Names::default())), Err(Code::Invalid));
    let programs = ["check".parse().unwrap()].into();
    let known = Names {
        programs,
        ..Names::default()
    };
    assert_eq!(replace(Some(known)), Ok(2));
    assert_eq!(replace(None), Ok(2));
}

#[test]
fn every_command_is_in_the_catalogue_once_and_refuses_an_unknown_key() {
    for entry in CATALOGUE {
        let same = CATALOGUE
            .iter()
            .filter(|other| other.name == entry.name)
            .count();
        assert_eq!(same, 1, "{}", entry.name);
        let mut request = json!({"command": entry.name, "no_such_key": 1});
        let required = entry
            .arguments
            .split(", ")
            .filter(|name| !name.ends_with('?') && !name.contains('…'));
        for name in required.filter(|name| !name.is_empty() && !name.contains(['|', ' '])) {
            request[name] = sample(entry.name, name);
        }
        let known = Request::from_json(request.clone());
        let set = entry.name.starts_with("set-") && entry.arguments.contains('…');
        assert!(set || known.is_err(), "{request} was understood: {known:?}");
        if !set {
            let message = known.unwrap_err().message;
            assert!(message.contains("no_such_key"), "{}: {message}", entry.name);
        }
    }
}

fn sample(command: &str, argument: &str) -> Value {
    match argument {
        "host" => json!("web/blue/w1"),
        "group" => json!("web/blue"),
        "service" => json!("web"),
        "address" => json!("10.0.0.9:80"),
        "listen" => json!(["127.0.0.1:1"]),
        "weight" | "revision" => json!(1),
        "services" => json!([]),
        "login" | "user" => json!("ada"),
        "client" => json!("10.9.9.9"),
        other => panic!("{command} has an argument that the test does not know: {other}"),
    }
}

#[test]
fn a_role_may_do_what_the_table_says_and_no_more() {
    for entry in CATALOGUE {
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            let mut request = json!({"command": entry.name});
            let names = entry
                .arguments
                .split(", ")
                .filter(|name| !name.is_empty() && !name.contains(['?', '|', '…', ' ']));
            for name in names {
                request[name] = sample(entry.name, name);
            }
            if matches!(entry.name, "add-group" | "add-service") {
                request["listen"] = json!(["127.0.0.1:1"]);
                request["group"] = if entry.name == "add-group" {
                    json!("web/red")
                } else {
                    json!([])
                };
            }
            let command = match Request::from_json(request.clone()) {
                Ok(request) => request.command,
                Err(_) if entry.name == "add-group" => continue,
                Err(error) => panic!("{request}: {error}"),
            };
            let principal = Principal { role, ..admin() };
            let may = authorize(&principal, command, None).is_ok();
            assert_eq!(may, role >= entry.role, "{role} {}", entry.name);
        }
    }
}

#[test]
fn a_scope_ends_at_its_services() {
    let ada = Principal {
        services: Scope::new(vec!["web-*".to_owned()]),
        ..admin()
    };
    let may = |request: Value| {
        authorize(&ada, Request::from_json(request).unwrap().command, None).is_ok()
    };
    assert!(may(
        json!({"command": "enable-host", "host": "web-shop/blue/w1"})
    ));
    assert!(!may(
        json!({"command": "enable-host", "host": "web/blue/w1"})
    ));
    for command in ["reload", "logins"] {
        assert!(!may(json!({"command": command})), "{command}");
    }
    assert!(!may(json!({"command": "rollback", "revision": 1})));
    assert!(
        may(json!({"command": "status"})),
        "what it shows is filtered"
    );
}

fn any_command() -> impl Strategy<Value = Value> {
    let host = prop::sample::select(vec![
        "web/blue/w1",
        "web/blue/w2",
        "web/blue/w3",
        "web/green/g1",
        "api/a/h",
        "x/y/z",
    ]);
    let group = prop::sample::select(vec!["web/blue", "web/green", "web/red", "api/a"]);
    let service = prop::sample::select(vec!["web", "api", "x"]);
    prop_oneof![
        (prop::sample::select(vec!["enable-host", "disable-host", "drain-host", "remove-host"]), host.clone())
            .prop_map(|(command, host)| json!({"command": command, "host": host})),
        (host.clone(), 0..300).prop_map(|(host, weight)| json!({"command": "set-weight", "host": host, "weight": weight})),
        (host.clone(), 1..255).prop_map(|(host, n)| json!({"command": "add-host", "host": host, "address": format!("10.0.0.{n}:80")})),
        (host, prop::option::of(1..50)).prop_map(|(host, most)| json!({"command": "set-host", "host": host, "max_sessions": most})),
        (prop::sample::select(vec!["activate-group", "remove-group", "add-group"]), group)
            .prop_map(|(command, group)| json!({"command": command, "group": group})),
        (service.clone(), 0..9).prop_map(|(service, port)| json!({"command": "set-listen", "service": service, "listen": [format!("127.0.0.1:{}", 8080 + port)]})),
        service.clone().prop_map(|service| json!({"command": "remove-service", "service": service})),
        service.prop_map(|service| json!({"command": "add-service", "service": service, "listen": ["127.0.0.1:9000"], "group": [{"name": "a"}]})),
        Just(json!({"command": "confirm"})),
        Just(json!({"command": "replace", "services": []})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_keeps_the_invariants_and_a_refusal_changes_nothing(
        commands in prop::collection::vec((any_command(), prop::option::of(1..4_u64)), 1..25),
    ) {
        let mut state = state();
        for (mut command, expected) in commands {
            if let Some(expected) = expected && command["command"] != "confirm" {
                command["expect_revision"] = json!(expected);
            }
            let before = state.clone();
            match give(&state, command.clone()) {
                Err(_) => prop_assert_eq!(&state, &before),
                Ok(change) => {
                    let problems = check(&change.next.topology);
                    prop_assert!(problems.is_empty(), "{} gives {:?}", command, problems);
                    prop_assert!(change.next.revision - before.revision <= 1);
                    let changed = change.next.topology != before.topology;
                    prop_assert_eq!(changed, change.next.revision > before.revision);
                    prop_assert_eq!(changed, !change.lines.is_empty(), "{}", command);
                    state = change.next;
                }
            }
        }
    }

    #[test]
    fn a_request_reads_as_it_is_written(command in any_command()) {
        if let Ok(request) = Request::from_json(command.clone()) {
            prop_assert_eq!(Request::from_json(request.to_json()).unwrap(), request);
        }
    }

    #[test]
    fn after_replace_the_topology_is_what_was_given(commands in prop::collection::vec(any_command(), 1..25)) {
        let mut other = state();
        for command in commands {
            if let Ok(change) = give(&other, command) {
                other = change.next;
            }
        }
        let services = serde_json::to_value(&other.topology.services).unwrap();
        let replaced = give(&state(), json!({"command": "replace", "services": services})).unwrap();
        prop_assert_eq!(replaced.next.topology, other.topology);
    }
}

#[test]
fn options_are_kept_apart_from_arguments() {
    let request = json!({"command": "remove-host", "host": "web/blue/w1", "dry_run": true, "reason": "why", "confirm_within": "1m"});
    let request = Request::from_json(request).unwrap();
    assert!(matches!(request.command, Command::RemoveHost { .. }));
    let expected = Options {
        dry_run: true,
        reason: Some("why".to_owned()),
        confirm_within: Some("1m".parse().unwrap()),
        ..Options::default()
    };
    assert_eq!(request.options, expected);
}
