//! The message bus as a way in: commands signed with the key of a log-in, over a real broker.
//! It must not know what is right.

use std::collections::BTreeMap;

use pointsman::doors::stomp::{
    caller::{Caller, Login},
    key::Key,
};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::{
    activemq::ActiveMq,
    node::{Node, PASSWORD},
    ways::{Ask, Heard, Way, config, login_of},
};

pub(crate) struct Bus<'a> {
    runtime: &'a Runtime,
    node: Node,
    /// What its file has beside that of the others.
    settings: String,
    node_key: String,
    caller: Caller,
    logins: BTreeMap<&'static str, Login>,
    /// Gone after those who need it.
    _broker: ActiveMq,
}

impl<'a> Bus<'a> {
    /// `None` where there is no broker.
    pub(crate) fn new(runtime: &'a Runtime) -> Option<Self> {
        let broker = ActiveMq::start()?;
        let settings = format!(
            "[bus]\nbrokers = [\"{}\"]\nlogin = \"pointsman\"\npasscode = \"pointsman\"\n\n",
            broker.plain()
        );
        let node = runtime.block_on(Node::start(&(settings.clone() + &config())));
        let key = node
            .command(&["pubkey", "pointsman.toml"])
            .output()
            .unwrap();
        let caller = Caller::open(broker.options("operator"), "pointsman", "lb1");
        Some(Self {
            runtime,
            settings,
            node_key: String::from_utf8(key.stdout).unwrap().trim().to_owned(),
            caller: runtime.block_on(caller).unwrap(),
            logins: BTreeMap::new(),
            node,
            _broker: broker,
        })
    }

    fn log_in(&mut self, user: &str) -> Login {
        let proof = json!({"user": user, "password": PASSWORD});
        let proof: Map<_, _> = proof.as_object().unwrap().clone();
        let key = Key::random();
        let answer = self.caller.log_in(&self.node_key, &key, proof);
        let answer = self.runtime.block_on(answer).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
        let id = answer["data"]["login"].as_str().unwrap().to_owned();
        Login { id, key }
    }

    fn command(&mut self, who: &str, command: &Value) -> Value {
        let answer = self.caller.command(&self.logins[who], command);
        self.runtime.block_on(answer).unwrap()
    }
}

impl Way for Bus<'_> {
    fn door(&self) -> &'static str {
        "stomp"
    }

    fn outward(&self, code: &str, _: bool) -> i32 {
        i32::from(code != "ok")
    }

    fn ask(&mut self, who: &str, ask: &Ask) -> Option<Heard> {
        let answer = self.command(login_of(who), &ask.command);
        let outward = i32::from(answer["ok"] != true);
        Some(Heard { answer, outward })
    }

    fn enter(&mut self) {
        for name in ["viewer", "web", "operator", "admin"] {
            let login = self.log_in(name);
            self.logins.insert(name, login);
        }
        // Nobody had a login, and has it no more.
        let login = self.log_in("viewer");
        self.logins.insert("nobody", login);
        let left = self.command("nobody", &json!({"command": "logout"}));
        assert_eq!(left["ok"], true, "{left}");
    }

    fn admin(&mut self, command: &Value) -> Value {
        self.command("admin", command)
    }

    fn file(&self) -> String {
        self.node.file().replacen(&self.settings, "", 1)
    }
}
