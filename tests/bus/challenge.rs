//! A log-in over the bus to which a RADIUS server has a question.
//! It must not know more of RADIUS than that.
#![allow(clippy::print_stdout)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pointsman::doors::stomp::{caller::Login, key::Key};
use serde_json::{Value, json};

use crate::{
    activemq::ActiveMq,
    asking::{Site, weigh},
};

/// A private FreeRADIUS, gone with the test.
struct FreeRadius(PathBuf);

impl FreeRadius {
    /// `None`, with a line that says so, where it is not installed and not demanded.
    fn start() -> Option<Self> {
        if !Path::new("/usr/sbin/freeradius").exists() {
            let demanded = std::env::var_os("REQUIRE_REAL").is_some_and(|value| value == "1");
            assert!(!demanded, "there is no FreeRADIUS");
            println!("skipped: there is no FreeRADIUS; integration/setup installs it");
            return None;
        }
        let name = format!("radius-{}", std::process::id());
        let server = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        assert!(server.script("start"), "FreeRADIUS did not start");
        Some(server)
    }

    fn script(&self, action: &str) -> bool {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/freeradius");
        let mut command = Command::new(script);
        command.arg(action).arg(&self.0).status().unwrap().success()
    }

    fn address(&self) -> String {
        let ports = fs::read_to_string(self.0.join("ports")).unwrap();
        let mut lines = ports.lines();
        let strict = lines.find_map(|line| line.strip_prefix("strict="));
        strict.unwrap().to_owned()
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        self.script("stop");
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_question_of_the_directory_goes_to_the_client_and_its_answer_back() {
    let (Some(broker), Some(radius)) = (ActiveMq::shared(), FreeRadius::start()) else {
        return;
    };
    let auth = format!(
        "\n[auth]\nbackends = [\"radius\"]\n\n\
         [auth.radius]\nservers = [\"{}\"]\nsecret = \"testing123\"\n\n\
         [[auth.rule]]\nradius = \"lb-operator\"\nrole = \"operator\"\n",
        radius.address()
    );
    let site = Site::start(broker, &broker.plain(), &auth).await;
    let mut asking = site.caller("operator").await;
    let (key, node) = (Key::random(), site.key());
    let form = |form: Value| form.as_object().unwrap().clone();
    let first = form(json!({"user": "otp", "password": "first-half"}));
    let code = |answer: &Value| {
        let question = answer["data"]["challenge"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"));
        question.rsplit(' ').next().unwrap().to_owned()
    };
    let second = |answer: &Value, otp: &str| {
        form(json!({"user": "otp", "state": answer["data"]["state"], "otp": otp}))
    };
    let ask = asking.log_in(&node, &key, first.clone()).await.unwrap();
    let done = asking.log_in(&node, &key, second(&ask, &code(&ask)));
    let done = done.await.unwrap();
    assert_eq!(done["data"]["by"], "radius", "{done}");
    let id = done["data"]["login"].as_str().unwrap().to_owned();
    let login = Login {
        id,
        key: key.clone(),
    };
    let answer = asking.command(&login, &weigh("w1", 5)).await.unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    // Not with another key, and then not at all: a question is answered once.
    let ask = asking.log_in(&node, &key, first).await.unwrap();
    let stolen = second(&ask, &code(&ask));
    let refused = asking.log_in(&node, &Key::random(), stolen.clone()).await;
    assert_eq!(refused.unwrap()["ok"], false);
    let refused = asking.log_in(&node, &key, stolen).await.unwrap();
    assert_eq!(refused["ok"], false, "{refused}");
}
