//! What the tests of doors have in common: a node of two services with a door over TLS, and those
//! who come in by it.
//! It must not know any directory.

use std::{
    io::Write,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use pointsman::auth::tls;
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use serde_json::{Value, json};

use crate::node::{Node, Reply, exchange, post};

/// The services `web` and `db`, each with one host.
pub(crate) const SERVICES: &str = r#"
[[service]]
name = "web"
listen = ["127.0.0.1:0"]
[[service.group]]
name = "blue"
host = [{ name = "w1", address = "127.0.0.1:1" }]

[[service]]
name = "db"
listen = ["127.0.0.1:0"]
[[service.group]]
name = "blue"
host = [{ name = "w1", address = "127.0.0.1:1" }]
"#;

/// A door over TLS with this certificate, which is for `localhost`.
pub(crate) fn door(certificate: &Path, key: &Path) -> String {
    format!(
        r#"
[certificates.admin]
cert_file = {certificate:?}
key_file = {key:?}

[admin]
http = {{ listen = "127.0.0.1:0", certificate = "admin", hosts = ["localhost"] }}
"#
    )
}

pub(crate) fn weight(service: &str, weight: u16) -> Value {
    json!({"command": "set-weight", "host": format!("{service}/blue/w1"), "weight": weight})
}

#[track_caller]
pub(crate) fn token(answer: &Reply) -> String {
    assert_eq!(answer.0, 200, "{}", answer.1);
    answer.1["data"]["token"].as_str().unwrap().to_owned()
}

/// The way to a node whose certificate this authority vouches for.
#[derive(Clone, Copy)]
pub(crate) struct OverTls<'a> {
    pub(crate) node: &'a Node,
    pub(crate) authority: &'a Path,
}

impl OverTls<'_> {
    /// Posts to a path.
    pub(crate) fn post(self, path: &str, token: Option<&str>, body: &Value) -> Reply {
        let config = tls::client(Some(self.authority), None).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let address = self.node.http();
        let stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
        let host = format!("localhost:{}", address.port());
        exchange(stream, &post(&host, path, token, body)).unwrap()
    }

    /// The command line, as somebody who keeps their login in `home`.
    pub(crate) fn command(self, home: &str, arguments: &[&str]) -> Command {
        let url = format!("https://localhost:{}", self.node.http().port());
        let home = self.node.folder.join(home);
        std::fs::create_dir_all(&home).unwrap();
        let mut command = self.node.command(arguments);
        command.args(["--via", &url, "--json", "--ca-file"]);
        command.arg(self.authority);
        command.env("XDG_RUNTIME_DIR", &home).env("HOME", &home);
        command
    }

    /// The same with something on standard input: its exit code, and what it prints.
    pub(crate) fn cli(self, home: &str, arguments: &[&str], input: &str) -> (i32, String) {
        let mut command = self.command(home, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    }
}
