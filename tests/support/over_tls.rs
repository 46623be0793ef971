//! A door over TLS, and those who come in by it.
//! It must not know what a node is asked.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    io::Write,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use pointsman::auth::tls;
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use serde_json::Value;

use crate::node::{Node, Reply, exchange, post};

/// A door over TLS with this certificate, which is for `localhost`.
pub fn door(certificate: &Path, key: &Path) -> String {
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

/// Trusts whom this authority vouches for, and nobody else.
pub fn trusting(authority: &Path) -> Arc<ClientConfig> {
    tls::client(Some(authority), None).unwrap()
}

/// Posts to a path as somebody who trusts the node; the second time on, TLS sessions are resumed.
pub fn post_over_tls(
    node: &Node,
    trust: &Arc<ClientConfig>,
    path: &str,
    token: Option<&str>,
    body: &Value,
) -> Reply {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(trust), name).unwrap();
    let address = node.http();
    let stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    let host = format!("localhost:{}", address.port());
    exchange(stream, &post(&host, path, token, body)).unwrap()
}

/// The way to a node whose certificate this authority vouches for.
#[derive(Clone, Copy)]
pub struct OverTls<'a> {
    pub node: &'a Node,
    pub authority: &'a Path,
}

impl OverTls<'_> {
    /// Posts to a path.
    pub fn post(self, path: &str, token: Option<&str>, body: &Value) -> Reply {
        post_over_tls(self.node, &trusting(self.authority), path, token, body)
    }

    /// The command line, as somebody who keeps their login in `home`.
    pub fn command(self, home: &str, arguments: &[&str]) -> Command {
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
    pub fn cli(self, home: &str, arguments: &[&str], input: &str) -> (i32, String) {
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
