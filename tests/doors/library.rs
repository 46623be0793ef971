//! The library as a way in: the handle, in a program of somebody's own.
//! It must not know what is right.

use std::sync::Arc;

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
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    node::Node,
    paper::Paper,
    ways::{Ask, Heard, Way, config, login_of},
};

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
