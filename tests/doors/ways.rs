//! The ways in, each as a row of the table: how it is asked, and how it says what came of it.
//! It must not know what is right.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

use pointsman::{
    control::{
        Balancer, Control,
        controller::{Begin, Start, start},
        record::InMemory,
    },
    model::{
        command::Request,
        principal::{Door, Principal, Role, Scope},
        topology::Topology,
    },
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    node::{Node, PASSWORD, user},
    paper::Paper,
};

/// What is asked: as JSON, and as a person types it; empty where they cannot.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) words: String,
    pub(crate) command: Value,
}

/// The answer, and how the door says its code: an HTTP status, an exit code.
pub(crate) struct Heard {
    pub(crate) answer: Value,
    pub(crate) outward: i32,
}

pub(crate) trait Way {
    /// As events and the history name it.
    fn door(&self) -> &'static str;
    /// How it says a code; `named` is who has a login.
    fn outward(&self, code: &str, named: bool) -> i32;
    /// `None` where nobody can ask this here.
    fn ask(&mut self, who: &str, ask: &Ask) -> Option<Heard>;
    /// Logs everybody in.
    fn enter(&mut self) {}
    /// An admin of all services asks, by the same door.
    fn admin(&mut self, command: &Value) -> Value;
    /// What the file says.
    fn file(&self) -> String;
}

/// The configuration of all of them.
pub(crate) fn config() -> String {
    let service = |name: &str| {
        format!(
            "# {name}\n[[service]]\nname = \"{name}\"\nlisten = [\"127.0.0.1:0\"]\n\n\
             [[service.group]]\nname = \"blue\"\n\
             host = [{{ name = \"a\", address = \"127.9.9.1:9\" }}, {{ name = \"b\", address = \"127.9.9.2:9\" }}]\n\n\
             [[service.group]]\nname = \"green\"\nhost = [{{ name = \"c\", address = \"127.9.9.3:9\" }}]\n\n"
        )
    };
    let mut text = "[node]\nname = \"lb1\"\nthreads = 1\n\n\
                    [admin]\nhttp = { listen = \"127.0.0.1:0\" }\n\n"
        .to_owned();
    for name in ["viewer", "operator", "admin"] {
        text += &user(name, &format!("role = \"{name}\""));
    }
    text += &user("web", "role = \"operator\"\nservices = [\"web-*\"]");
    text + &service("web-1") + &service("db")
}

/// Whose login `who` uses.
pub(crate) fn login_of(who: &str) -> &str {
    if who == "db" { "web" } else { who }
}

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

/// The HTTP API with tokens, on the Unix socket or on TCP.
pub(crate) struct Api {
    node: Node,
    tcp: bool,
    tokens: Vec<(String, String)>,
}

impl Api {
    pub(crate) fn new(runtime: &Runtime, tcp: bool) -> Self {
        let node = runtime.block_on(Node::start(&config()));
        let tokens = Vec::new();
        Self { node, tcp, tokens }
    }

    fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        match self.tcp {
            true => self.node.post_http(path, token, body),
            false => self.node.post(path, token, body),
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
        if self.tcp { "http" } else { "socket" }
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
        self.node.file()
    }
}

/// The command line.
pub(crate) struct Cli {
    /// The same node, for what is beside the point.
    api: Api,
    /// The file of a login that has ended, and what it says. The program forgets it when told.
    ended: Option<(PathBuf, String)>,
}

impl Cli {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        let api = Api::new(runtime, false);
        let ended = None;
        Self { api, ended }
    }
}

impl Way for Cli {
    fn door(&self) -> &'static str {
        "socket"
    }

    fn outward(&self, code: &str, _: bool) -> i32 {
        match code {
            "ok" => 0,
            "denied" => 3,
            "invalid" | "not-found" => 4,
            "conflict" => 5,
            "failed" => 1,
            _ => 6,
        }
    }

    fn ask(&mut self, who: &str, ask: &Ask) -> Option<Heard> {
        if ask.words.is_empty() {
            return None;
        }
        let services = &ask.command["services"];
        let new = json!({"ok": true, "data": {"services": services}});
        fs::write(self.api.node.folder.join("new.json"), new.to_string()).unwrap();
        if let Some((path, token)) = &self.ended {
            fs::write(path, token).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let words: Vec<&str> = ask.words.split(' ').collect();
        let output = self.api.node.cli(login_of(who), &words);
        let said = String::from_utf8(output.stdout).unwrap();
        Some(Heard {
            answer: serde_json::from_str(&said).unwrap(),
            outward: output.status.code().unwrap(),
        })
    }

    fn enter(&mut self) {
        self.api.enter();
        let node = &self.api.node;
        for name in ["viewer", "web", "operator", "admin", "nobody"] {
            let user = if name == "nobody" { "viewer" } else { name };
            let output = node.cli_with(name, &["login", user], PASSWORD);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        let kept = fs::read_dir(node.folder.join("nobody/pointsman")).unwrap();
        let path = kept.last().unwrap().unwrap().path();
        let token = fs::read_to_string(&path).unwrap();
        let (status, _) = node.post("/v1/logout", Some(token.trim()), &json!({}));
        assert_eq!(status, 200);
        self.ended = Some((path, token));
    }

    fn admin(&mut self, command: &Value) -> Value {
        self.api.admin(command)
    }

    fn file(&self) -> String {
        self.api.file()
    }
}

/// The handle, in a program of somebody's own. Nobody logs in there: who asks is who it says.
pub(crate) struct Library<'a> {
    runtime: &'a Runtime,
    /// For its folder.
    folder: Node,
    control: Control,
}

impl<'a> Library<'a> {
    pub(crate) fn new(runtime: &'a Runtime) -> Self {
        let folder = Node::prepare(&config());
        let _inside = runtime.enter();
        let paper = Paper::open(&folder.folder);
        let (config, digest) = paper.store.read().unwrap();
        let balancer = Balancer::start(Topology::default(), runtime.handle().clone()).unwrap();
        let started = start(Start {
            succession: None,
            node: "lb1".parse().unwrap(),
            balancer: Arc::new(balancer),
            record: Box::new(InMemory::default()),
            file: Some(Box::new(Paper {
                expected: Some(digest),
                ..paper
            })),
            access: None,
            bus: None,
            first: Begin::New {
                topology: config.topology,
                digest: None,
                last: None,
            },
            redo_file: false,
        });
        let (control, _) = started.unwrap();
        Self {
            runtime,
            folder,
            control,
        }
    }

    fn execute(&self, who: &str, command: &Value) -> Value {
        let (role, services) = match who {
            "viewer" => (Role::Viewer, Scope::all()),
            "web" | "db" => (Role::Operator, Scope::new(vec!["web-*".to_owned()])),
            "operator" => (Role::Operator, Scope::all()),
            _ => (Role::Admin, Scope::all()),
        };
        let principal = Principal {
            user: login_of(who).to_owned(),
            role,
            services,
            by: "local".to_owned(),
            door: Door::Library,
            from: "here".to_owned(),
            login: None,
        };
        let request = Request::from_json(command.clone()).unwrap();
        let answer = self.control.execute(principal, request, "1".to_owned());
        serde_json::to_value(self.runtime.block_on(answer)).unwrap()
    }
}

impl Way for Library<'_> {
    fn door(&self) -> &'static str {
        "library"
    }

    fn outward(&self, code: &str, _: bool) -> i32 {
        i32::from(code != "ok")
    }

    fn ask(&mut self, who: &str, ask: &Ask) -> Option<Heard> {
        let about_people = ["logout", "logins", "end-login", "explain-access"];
        if who == "nobody"
            || about_people
                .map(Value::from)
                .contains(&ask.command["command"])
        {
            return None;
        }
        let answer = self.execute(who, &ask.command);
        let outward = i32::from(answer["ok"] != true);
        Some(Heard { answer, outward })
    }

    fn admin(&mut self, command: &Value) -> Value {
        self.execute("admin", command)
    }

    fn file(&self) -> String {
        self.folder.file()
    }
}
