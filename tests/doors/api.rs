//! The HTTP API as a way in, over the Unix socket, over TCP and over TLS.
//! It must not know what is right.

use std::sync::Arc;

use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    certificate,
    node::{Node, PASSWORD},
    over_tls,
    ways::{ADMIN, Ask, Heard, Way, config, login_of},
};

fn http_status(code: &str, named: bool) -> i32 {
    match code {
        "ok" => 200,
        "denied" if named => 403,
        "denied" => 401,
        "invalid" => 400,
        "not-found" => 404,
        "conflict" => 409,
        "failed" => 500,
        _ => 503,
    }
}

/// What the HTTP API is spoken over.
enum Over {
    Socket,
    Tcp,
    Tls {
        /// In an authority of its own alone.
        trust: Arc<ClientConfig>,
        /// What its file has in place of [`ADMIN`].
        settings: String,
    },
}

/// The HTTP API with tokens.
pub(crate) struct Api {
    pub(crate) node: Node,
    over: Over,
    tokens: Vec<(String, String)>,
}

impl Api {
    pub(crate) fn over_socket(runtime: &Runtime) -> Self {
        Self::new(runtime, Node::prepare(&config()), Over::Socket)
    }

    pub(crate) fn over_tcp(runtime: &Runtime) -> Self {
        Self::new(runtime, Node::prepare(&config()), Over::Tcp)
    }

    /// `None` where there is no openssl.
    pub(crate) fn over_tls(runtime: &Runtime) -> Option<Self> {
        let node = Node::prepare(&config());
        let folder = &node.folder;
        let authority = certificate::authority(folder, "authority")?;
        let names = "DNS:localhost";
        let (certificate, key) = certificate::vouched_for(folder, "admin", names, &authority)?;
        let settings = over_tls::door(&certificate, &key);
        node.edit(ADMIN, &settings);
        let trust = over_tls::trusting(&authority.0);
        let over = Over::Tls { trust, settings };
        Some(Self::new(runtime, node, over))
    }

    fn new(runtime: &Runtime, mut node: Node, over: Over) -> Self {
        runtime.block_on(node.up());
        let tokens = Vec::new();
        Self { node, over, tokens }
    }

    fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let node = &self.node;
        match &self.over {
            Over::Socket => node.post(path, token, body),
            Over::Tcp => node.post_http(path, token, body),
            Over::Tls { trust, .. } => over_tls::post_over_tls(node, trust, path, token, body),
        }
    }

    fn command(&self, who: &str, command: &Value) -> (u16, Value) {
        let login = login_of(who);
        let token = self.tokens.iter().find(|(name, _)| name == login);
        let token = token.map(|(_, token)| token.as_str());
        self.post("/v1/commands", token, command)
    }
}

impl Way for Api {
    fn door(&self) -> &'static str {
        match self.over {
            Over::Socket => "socket",
            Over::Tcp | Over::Tls { .. } => "http",
        }
    }

    fn outward(&self, code: &str, named: bool) -> i32 {
        http_status(code, named)
    }

    fn ask(&mut self, who: &str, ask: &Ask) -> Option<Heard> {
        let (status, answer) = self.command(who, &ask.command);
        Some(Heard {
            answer,
            outward: status.into(),
        })
    }

    fn enter(&mut self) {
        self.tokens.clear();
        for name in ["viewer", "web", "operator", "admin", "nobody"] {
            // Nobody had a login, and has it no more.
            let user = if name == "nobody" { "viewer" } else { name };
            let body = json!({"user": user, "password": PASSWORD});
            let (status, reply) = self.post("/v1/login", None, &body);
            assert_eq!(status, 200, "{reply}");
            let token = reply["data"]["token"].as_str().unwrap().to_owned();
            if name == "nobody" {
                let (status, _) = self.post("/v1/logout", Some(&token), &json!({}));
                assert_eq!(status, 200);
            }
            self.tokens.push((name.to_owned(), token));
        }
    }

    fn admin(&mut self, command: &Value) -> Value {
        self.command("admin", command).1
    }

    fn file(&self) -> String {
        let text = self.node.file();
        match &self.over {
            Over::Socket | Over::Tcp => text,
            Over::Tls { settings, .. } => text.replacen(settings, ADMIN, 1),
        }
    }
}
