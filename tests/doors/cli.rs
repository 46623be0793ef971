//! The command line as a way in.
//! It must not know what is right.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    api::Api,
    node::PASSWORD,
    ways::{Ask, Heard, Way, login_of},
};

/// The command line.
pub(crate) struct Cli {
    /// The same node, for what is beside the point.
    api: Api,
    /// The file of a login that has ended, and what it says. The program forgets it when told.
    ended: Option<(PathBuf, String)>,
}

impl Cli {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        let api = Api::over_socket(runtime);
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
