//! A way in as a row of the table: how it is asked, and how it says what came of it.
//! It must not know what is right.

use serde_json::Value;

use crate::node::user;

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

/// The door over TCP, where it is none over TLS.
pub(crate) const ADMIN: &str = "[admin]\nhttp = { listen = \"127.0.0.1:0\" }\n\n";

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
    let mut text = "[node]\nname = \"lb1\"\nthreads = 1\n\n".to_owned() + ADMIN;
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
