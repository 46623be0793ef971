//! Configuration files as people write them: those that read, and what is said of those that do not.
//! It must not test single values; that is done where they are defined.

#![allow(clippy::unwrap_used, clippy::panic)] // the lints' leave for tests stops at helpers

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use pointsman::config::{self, Config};
use rustix::fs::{CWD, FileType, Mode, mknodat};

fn files(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn read_all(directory: &str) -> Vec<(PathBuf, Config)> {
    let read = |path: PathBuf| match config::read(&path) {
        Ok(config) => (path, config),
        Err(error) => panic!("{error}"),
    };
    files(directory).into_iter().map(read).collect()
}

#[test]
fn what_is_right_reads_and_renders_and_reads_the_same() {
    let configs = read_all("tests/data/valid");
    assert_eq!(configs.len(), 6);
    for (path, config) in configs {
        let again = config::parse(&config::render(&config.topology)).unwrap();
        assert_eq!(again.topology, config.topology, "{}", path.display());
    }
}

/// With `UPDATE_EXPECTED=1` the expected files are written instead, to be read over by a person.
#[test]
fn what_is_wrong_is_told_in_full() {
    let files = files("tests/data/invalid");
    assert!(files.len() > 40, "{}", files.len());
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    for path in files {
        let directory = format!("{}/", path.parent().unwrap().display());
        let error = config::read(&path).expect_err(file_name(&path));
        let told = format!("{error}\n").replace(&directory, "");
        let expected = path.with_extension("expected");
        if update {
            fs::write(&expected, &told).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if told != wanted {
            wrong.push(format!("expected:\n{wanted}got:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_expected_output_is_left_without_its_file() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/invalid");
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.with_extension("toml").exists(), "{}", path.display());
    }
}

#[test]
fn many_problems_are_told_at_once_each_with_its_line() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/invalid/many_at_once.toml");
    let text = fs::read_to_string(path).unwrap();
    let problems = config::parse(&text).unwrap_err();
    assert!(problems.len() >= 6, "{problems:#?}");
    let lines: Vec<_> = text.lines().collect();
    for problem in problems {
        // The line holds the last key of the path, or the key that the message is about.
        let line = lines[problem.line.unwrap() - 1];
        let place = problem.place.to_string();
        let key = place.rsplit('.').next().unwrap().split('[').next().unwrap();
        let mut words = problem.message.split('`').skip(1).chain([key]);
        assert!(words.any(|word| line.contains(word)), "{line}: {problem}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let told = |path: &str| config::read(path).unwrap_err().to_string();
    let missing = "cannot read /no/such.toml: there is no such file";
    assert_eq!(told("/no/such.toml"), missing);
    assert_eq!(told("/"), "cannot read /: is a directory");
    let endless = "cannot read /dev/zero: it is no ordinary file";
    assert_eq!(told("/dev/zero"), endless);
    // Nobody writes to it, and nobody waits for that.
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let pipe = folder.join(format!("pipe-{}", std::process::id()));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let told = told(pipe.to_str().unwrap());
    fs::remove_file(&pipe).unwrap();
    assert!(told.ends_with(": it is no ordinary file"), "{told}");
    let huge = folder.join(format!("huge-{}", std::process::id()));
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    let told = config::read(&huge).unwrap_err().to_string();
    fs::remove_file(&huge).unwrap();
    assert!(told.ends_with(" is larger than 16 MiB"), "{told}");
}

#[test]
fn the_configurations_that_come_with_the_program_read() {
    let configs = read_all("config");
    let names: Vec<_> = configs.iter().map(|(path, _)| file_name(path)).collect();
    assert_eq!(names, ["pointsman.toml", "quickstart.toml"]);
}

/// Every key of `value` and below.
fn keys(value: &toml::Value, found: &mut BTreeSet<String>) {
    if let Some(table) = value.as_table() {
        for (key, value) in table {
            found.insert(key.clone());
            keys(value, found);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        keys(item, found);
    }
}

fn bus() -> config::Bus {
    config::Bus {
        brokers: vec!["stomp+ssl://mq1:61614".to_owned().try_into().unwrap()],
        login: Some("pointsman".to_owned()),
        passcode: Some(config::Secret::Credential("bus".to_owned())),
        ca_file: Some(PathBuf::from("ca.pem")),
        cert_file: Some(PathBuf::from("cert.pem")),
        key_file: Some(PathBuf::from("key.pem")),
        prefix: "lb".to_owned().try_into().unwrap(),
        heart_beat: "1s".parse().unwrap(),
        allow_plain_login: true,
        allowed_senders: Some(vec!["operator".to_owned()]),
    }
}

fn full_auth() -> config::Auth {
    use pointsman::model::{
        dn::Dn,
        principal::{Role, Scope},
    };
    let scope = || Scope::new(vec!["web-*".to_owned()]);
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let name = || config::UserName::try_from("ada".to_owned()).unwrap();
    config::Auth {
        backends: vec![config::Backend::Local],
        fallback: config::Fallback::Next,
        break_glass_doors: vec![config::LoginDoor::Http],
        login_ttl: "1s".parse().unwrap(),
        recheck: "1s".parse().unwrap(),
        ldap: Some(full_ldap()),
        radius: Some(full_radius()),
        users: vec![config::User {
            name: name(),
            password_hash: config::PasswordHash::try_from(hash.to_owned()).unwrap(),
            role: Some(Role::Admin),
            services: scope(),
        }],
        rules: vec![config::Rule {
            user: Some(name()),
            group: Dn::parse("cn=team").ok(),
            radius: config::RadiusValue::try_from("team".to_owned()).ok(),
            role: Role::Viewer,
            services: scope(),
        }],
    }
}

/// All but `services_file`, which cannot stand beside services.
fn full_settings() -> config::Settings {
    use pointsman::model::topology::Count;
    config::Settings {
        services_file: None,
        node: config::Node {
            name: "lb1".parse().unwrap(),
            state_dir: PathBuf::from("/var/lib/pointsman"),
            threads: config::Threads::try_from(4).ok(),
            drain_timeout: "1s".parse().unwrap(),
            access_log: true,
            events_kept: Count::default(),
            revisions_kept: Count::default(),
        },
        auth: Some(full_auth()),
        bus: Some(bus()),
        admin: config::AdminDoor {
            socket: Some(PathBuf::from("admin.sock")),
            socket_group: Some("pointsman".to_owned()),
            http: Some(config::HttpDoor {
                listen: "127.0.0.1:7000".parse().unwrap(),
                certificate: Some("admin".parse().unwrap()),
                hosts: vec!["lb1.example.org".to_owned()],
            }),
        },
        metrics: Some(config::Metrics {
            listen: "127.0.0.1:9100".parse().unwrap(),
        }),
        certificates: [(
            "admin".parse().unwrap(),
            config::Certificate {
                cert_file: PathBuf::from("admin.pem"),
                key_file: Some(PathBuf::from("admin.key")),
            },
        )]
        .into(),
        programs: [(
            "check_db".parse().unwrap(),
            config::Program {
                command: vec!["/bin/true".to_owned()].try_into().unwrap(),
                timeout: "1s".parse().unwrap(),
            },
        )]
        .into(),
    }
}

fn full_group(host: pointsman::model::topology::Host) -> pointsman::model::topology::Group {
    use pointsman::model::topology::*;
    Group {
        name: "blue".parse().unwrap(),
        scheduler: Scheduler::SourceHash {
            load_factor: Some(2.0),
        },
        sticky: Some(Sticky::default()),
        probe: Some(full_probe()),
        outlier: Some(Outlier::default()),
        slow_start: Some(SlowStart {
            window: "9s".parse().unwrap(),
            exponent: 2.0,
        }),
        panic: Some(Share::percent(50)),
        when_all_down: WhenAllDown::UseAll,
        send_proxy: Some(SendProxy::V2),
        source: Some([10, 0, 0, 9].into()),
        hosts: vec![host],
    }
}

/// Sets every setting to what is not its default, so that each is written out when serialized;
/// a struct literal names all fields, so that the compiler asks for one that is added.
fn full_config() -> toml::Table {
    use pointsman::model::topology::*;
    let host = Host {
        name: "w1".parse().unwrap(),
        address: "10.0.0.1:80".parse().unwrap(),
        weight: Weight::try_from(5).unwrap(),
        max_sessions: Some(Count::default()),
        admin: Admin::Disabled,
    };
    let group = full_group(host);
    let rate = Rate {
        per_second: Count::default(),
        burst: Some(Count::default()),
    };
    let service = Service {
        name: "web".parse().unwrap(),
        listen: vec!["0.0.0.0:80".parse().unwrap()],
        active: Some(group.name.clone()),
        timeouts: Timeouts {
            connect: "9s".parse().unwrap(),
            ..Timeouts::default()
        },
        limits: Limits {
            sessions: Some(Count::default()),
            per_client: Some(Count::default()),
            rate: Some(rate),
            rate_per_client: Some(rate),
        },
        retries: Retries::try_from(9).unwrap(),
        backup: Some(Backup {
            group: group.name.clone(),
            min_up: Count::default(),
            hold: "9s".parse().unwrap(),
        }),
        rebalance: Some(Rebalance::default()),
        queue: Queue {
            length: 9.try_into().unwrap(),
            ..Queue::default()
        },
        access: vec!["deny all".parse().unwrap()],
        proxy_protocol: Some(ProxyProtocol::default()),
        tcp: Tcp {
            v6only: false,
            ..Tcp::default()
        },
        unix_mode: "0600".parse().unwrap(),
        groups: vec![group],
    };
    let topology = Topology {
        services: vec![service],
    };
    let mut full = toml::Table::try_from(full_settings()).unwrap();
    full.extend(toml::Table::try_from(topology).unwrap());
    full
}

fn full_ldap() -> config::Ldap {
    let text = r#"urls = ["ldaps://ldap1"]
        ca_file = "ca.pem"
        bind_dn = "cn=svc"
        bind_password = { credential = "secret" }
        user_base = "ou=people"
        user_filter = "(uid={user})"
        group_base = "ou=groups"
        group_filter = "(member={dn})""#;
    toml::from_str(text).unwrap()
}

fn full_radius() -> config::Radius {
    let text = r#"servers = ["10.0.0.9:1812"]
        secret = { credential = "secret" }
        require_message_authenticator = true
        tls = { ca_file = "ca.pem", cert_file = "cert.pem", key_file = "key.pem" }"#;
    toml::from_str(text).unwrap()
}

/// Of the kinds, that with the most keys.
fn full_probe() -> pointsman::model::topology::Probe {
    let text = r#"kind = "http"
        fast_interval = "1s"
        port = 80
        host = "a"
        body = "b""#;
    toml::from_str(text).unwrap()
}

#[test]
fn the_explained_configuration_sets_every_key() {
    let (mut known, mut explained) = (BTreeSet::new(), BTreeSet::new());
    keys(&full_config().into(), &mut known);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/pointsman.toml");
    let text = fs::read_to_string(path).unwrap();
    keys(&text.parse::<toml::Table>().unwrap().into(), &mut explained);
    assert!(known.len() > 60, "{}", known.len());
    assert!(text.contains("\n# services_file = ") && text.contains("\n  # bind_template = "));
    assert_eq!(explained, known);
}
