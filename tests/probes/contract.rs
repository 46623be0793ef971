//! What every probe promises, whatever the host does.

use super::*;

/// A probe of every kind, and a host of every manner.
fn kinds() -> Vec<Value> {
    let mut kinds = vec![
        json!({"kind": "tcp"}),
        json!({"kind": "http", "body": "ready"}),
        json!({"kind": "agent"}),
        json!({"kind": "agent", "send": "hello\n"}),
        json!({"kind": "exec", "program": "check"}),
    ];
    if cfg!(feature = "server") {
        kinds.push(json!({"kind": "tls", "ca": "any"}));
        kinds.push(json!({"kind": "http", "tls": true, "ca": "any"}));
    }
    kinds
}

fn manners() -> [Manner; 9] {
    [
        Manner::Hangs,
        Manner::Resets,
        Manner::HangsUp,
        Manner::Says("\u{1b}[2J\r\nnonsense"),
        Manner::Says(""),
        Manner::Dribbles("HTTP/1.1 200 OK\r"),
        Manner::Dribbles("x"),
        Manner::Floods("HTTP/1.1 100 Continue\r\n\r\n"),
        Manner::Floods("x"),
    ]
}

/// The means for all of them: a program that waits for the end of a connection to the host, and,
/// where there is openssl, somebody to trust.
fn means() -> Option<(Means, Folder)> {
    let folder = Folder::new("contract");
    let mut means = shell("exec sleep 10");
    let file = certificate(&folder.0, "any", "DNS:localhost", 30)?.0;
    means.authorities.insert("any".parse().unwrap(), file);
    Some((means, folder))
}

#[test]
fn whatever_the_host_does_a_probe_ends_in_time_and_says_why() {
    let alone = alone();
    let Some((means, _folder)) = means() else {
        return;
    };
    let mut count = 0;
    for keys in kinds() {
        for manner in manners() {
            let host = Host::that(manner.clone());
            let start = Instant::now();
            let outcome = alone.ask(keys.clone(), &means, host.address);
            let took = start.elapsed();
            let what = format!("{keys} {manner:?} {outcome:?}");
            assert!(took < Duration::from_millis(1300), "{took:?} {what}");
            let passes = keys["kind"] == "tcp";
            assert_eq!(outcome.verdict == Verdict::Passed, passes, "{what}");
            is_a_sentence(&outcome.reason);
            count += 1;
        }
        if keys["kind"] != "exec" {
            let outcome = alone.ask(keys.clone(), &means, Host::nowhere());
            came_to(&outcome, Verdict::Failed, "connection refused");
        }
    }
    assert!(count >= 45, "{count}");
}

#[track_caller]
fn is_a_sentence(reason: &str) {
    assert!(reason.contains(' '), "{reason}");
    assert!(!reason.chars().any(char::is_control), "{reason:?}");
    assert!(!reason.starts_with(char::is_uppercase), "{reason}");
    assert!(!reason.ends_with('.'), "{reason}");
}

#[test]
fn a_probe_that_ended_or_was_dropped_leaves_nothing_behind() {
    let alone = alone();
    let Some((means, _folder)) = means() else {
        return;
    };
    for keys in kinds() {
        let host = Host::that(Manner::Hangs);
        let prober = prober(keys.clone(), &means).unwrap();
        let target = target(host.address);
        // What the runtime keeps for itself, it has after the first.
        alone.runtime.block_on(prober.ask(&target, at(&target)));
        eventually("the host lets go", || connections() == 0);
        let before = (descriptors(), children());
        alone.runtime.block_on(async {
            for _ in 0..3 {
                prober.ask(&target, at(&target)).await;
            }
            for millis in [0, 1, 5, 50] {
                let short = Duration::from_millis(millis);
                let _ = tokio::time::timeout(short, prober.ask(&target, at(&target))).await;
            }
            let tasks = tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks();
            assert_eq!(tasks, 0, "{keys}");
        });
        eventually(&format!("nothing of {keys} is left"), || {
            // The runtime reaps what was killed when it turns.
            alone.runtime.block_on(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
            });
            (descriptors(), children()) == before && connections() == 0
        });
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The threads of hosts, two for each, beside what the tests have: one for each connection.
fn connections() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "connection").count()
}

fn children() -> usize {
    let me = format!("/proc/self/task/{}/children", std::process::id());
    std::fs::read_to_string(me).map_or(0, |list| list.split_whitespace().count())
}

#[test]
fn a_program_or_a_certificate_that_is_not_in_the_settings_makes_no_probe() {
    let means = Means::default();
    let error = prober(exec(), &means).unwrap_err();
    assert_eq!(error.to_string(), "there is no [programs.check]");
    let error = prober(json!({"kind": "tls", "ca": "inside"}), &means).unwrap_err();
    if cfg!(feature = "server") {
        assert_eq!(error.to_string(), "there is no [certificates.inside]");
    } else {
        assert!(error.to_string().contains("`server`"), "{error}");
    }
}

#[test]
fn another_port_is_asked_where_one_is_given() {
    let alone = alone();
    let host = Host::that(Manner::Hangs);
    let mut address = Host::nowhere();
    let keys = json!({"kind": "tcp", "port": host.address.port()});
    let outcome = alone.ask(keys, &Means::default(), address);
    came_to(&outcome, Verdict::Passed, &host.address.to_string());
    address.set_port(host.address.port());
    assert_eq!(address, host.address);
}

#[test]
fn running_out_of_descriptors_is_not_held_against_the_host() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let alone = alone();
    let host = Host::that(Manner::Hangs);
    let limit = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(3),
        maximum: limit.maximum,
    };
    let probers =
        [json!({"kind": "tcp"}), exec()].map(|keys| prober(keys, &shell("true")).unwrap());
    setrlimit(Resource::Nofile, none).unwrap();
    let outcomes = probers.map(|prober| {
        alone
            .runtime
            .block_on(prober.ask(&target(host.address), host.address.into()))
    });
    setrlimit(Resource::Nofile, limit).unwrap();
    for outcome in outcomes {
        came_to(&outcome, Verdict::NotAsked, "oo many open files");
    }
}

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let name = format!("pointsman-probes-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
