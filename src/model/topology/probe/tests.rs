//! How probes are read and written.

use serde_json::{Value, json};

use super::*;

fn read(table: Value) -> Result<Probe, String> {
    serde_json::from_value(table).map_err(|error| error.to_string())
}

#[test]
fn each_kind_reads_as_it_is_written() {
    let tables = [
        json!({"kind": "tcp", "interval": "2s", "timeout": "1s", "fall": 3, "rise": 2}),
        json!({"kind": "tcp", "interval": "5s", "fast_interval": "500ms", "timeout": "3s",
            "fall": 1, "rise": 100, "port": 8081}),
        json!({"kind": "tls", "interval": "2s", "timeout": "1s", "fall": 3, "rise": 2,
            "server_name": "db.example.org", "ca": "inside", "min_days": 3, "warn_days": 30}),
        json!({"kind": "http", "interval": "2s", "timeout": "1s", "fall": 3, "rise": 2,
            "path": "/ready?full=1", "host": "web.example.org", "method": "OPTIONS",
            "status": ["200-299", "401"], "body": "ready", "tls": true, "ca": "inside"}),
        json!({"kind": "http", "interval": "2s", "timeout": "1s", "fall": 3, "rise": 2,
            "path": "/", "method": "GET", "status": ["200-399"], "tls": false}),
        json!({"kind": "exec", "interval": "2s", "timeout": "1s", "fall": 3, "rise": 2,
            "program": "check_db"}),
        json!({"kind": "agent", "interval": "2s", "timeout": "1s", "fall": 3, "rise": 2,
            "port": 9707, "send": "web\n"}),
    ];
    for table in tables {
        let probe = read(table.clone()).unwrap();
        assert_eq!(serde_json::to_value(&probe).unwrap(), table);
        assert_eq!(probe.kind.word(), table["kind"]);
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let tcp = read(json!({"kind": "tcp"})).unwrap();
    assert_eq!(tcp, Probe::of(ProbeKind::Tcp));
    assert_eq!((tcp.fall.get(), tcp.rise.get()), (3, 2));
    let tls = read(json!({"kind": "tls"})).unwrap();
    assert_eq!(tls, Probe::of(ProbeKind::Tls(TlsProbe::default())));
    let http = read(json!({"kind": "http"})).unwrap();
    assert_eq!(http, Probe::of(ProbeKind::Http(HttpProbe::default())));
}

#[test]
fn a_key_that_no_kind_or_another_kind_has_is_named() {
    for (table, message) in [
        (json!({"kind": "tcp", "pth": "/"}), "unknown field `pth`"),
        (
            json!({"kind": "tcp", "path": "/"}),
            "a probe of kind tcp has no `path`; only http has",
        ),
        (
            json!({"kind": "exec", "program": "x", "ca": "inside"}),
            "a probe of kind exec has no `ca`; only tls and http have",
        ),
        (
            json!({"kind": "agent", "program": "x"}),
            "a probe of kind agent has no `program`; only exec has",
        ),
        (
            json!({"kind": "http", "min_days": 3}),
            "a probe of kind http has no `min_days`; only tls has",
        ),
        (
            json!({"kind": "http", "server_name": "a.example"}),
            "`server_name` means something only with `tls = true`",
        ),
    ] {
        let error = read(table).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
}

/// Reads each table, and expects the message that its line ends with.
#[track_caller]
fn refused(cases: &str) {
    for case in cases.trim().lines() {
        let (table, message) = case.trim().split_once(" => ").unwrap();
        let error = read(table.parse().unwrap()).unwrap_err();
        assert!(error.starts_with(message), "{table}: {error}");
    }
}

#[test]
fn what_is_missing_is_said() {
    refused(
        r#"
        {} => missing field `kind`
        {"kind": "icmp"} => unknown variant `icmp`
        {"kind": "exec"} => a probe of kind exec needs a `program`
        {"kind": "http", "status": []} => `status` needs a code
        "#,
    );
}

#[test]
fn what_is_out_of_bounds_is_said() {
    refused(
        r#"
        {"kind": "tcp", "fall": 0} => 0 is not between 1 and 100
        {"kind": "tcp", "rise": 101} => 101 is not between 1 and 100
        {"kind": "tcp", "port": 0} => 0 is not between 1 and 65535
        {"kind": "tls", "min_days": 5000} => 5000 is not between 0 and 3650
        {"kind": "tls", "server_name": "a b"} => a server's name is a DNS name
        {"kind": "http", "path": "ready"} => a path begins with `/`
        {"kind": "http", "path": "/a b"} => a path begins with `/`
        {"kind": "http", "path": "/\r\nX: y"} => a path begins with `/`
        {"kind": "http", "host": "a\r\nX: y"} => a host has only visible
        {"kind": "http", "method": "POST"} => unknown variant `POST`
        {"kind": "http", "status": ["600"]} => "600" is not a status code
        {"kind": "http", "status": ["300-200"]} => "300-200" is not a status code
        {"kind": "http", "status": ["+20"]} => "+20" is not a status code
        {"kind": "http", "method": "HEAD", "body": "x"} => the answer to HEAD has no body
        {"kind": "http", "body": ""} => this has 0 bytes, not 1 to 1024
        "#,
    );
    let send = "x".repeat(1025);
    let error = read(json!({"kind": "agent", "send": send})).unwrap_err();
    assert!(error.starts_with("this has 1025 bytes"), "{error}");
}

#[test]
fn the_names_that_a_probe_uses_are_known() {
    let exec = read(json!({"kind": "exec", "program": "check_db"})).unwrap();
    assert_eq!(exec.program().map(Name::as_str), Some("check_db"));
    assert_eq!(exec.ca(), None);
    let http = read(json!({"kind": "http", "tls": true, "ca": "inside"})).unwrap();
    assert_eq!(http.ca().map(Name::as_str), Some("inside"));
    assert_eq!(http.program(), None);
}
