//! The message bus as one more door of a node.
//! It must not know what is right.

use pointsman::{
    doors::stomp::{
        caller::{Caller, Login},
        key::Key,
    },
    stomp::Options,
};
use serde_json::{Value, json};

use crate::{activemq::ActiveMq, node::Node};

/// Who knocks there.
#[derive(Debug)]
pub(crate) struct BusDoor {
    options: Options,
    node_key: String,
}

/// What a node has in its file to be on the bus.
pub(crate) fn settings(broker: &ActiveMq) -> String {
    let place = broker.plain();
    format!(
        "[node]\nname = \"lb1\"\n\n\
         [bus]\nbrokers = [\"{place}\"]\nlogin = \"pointsman\"\npasscode = \"pointsman\"\n"
    )
}

impl BusDoor {
    pub(crate) fn new(broker: &ActiveMq, node: &Node) -> Self {
        let asked = node.command(&["pubkey", "pointsman.toml"]).output();
        Self {
            options: broker.options("operator"),
            node_key: String::from_utf8(asked.unwrap().stdout)
                .unwrap()
                .trim()
                .to_owned(),
        }
    }

    /// The answer to a log-in, and those to `commands` of whoever is in.
    pub(crate) fn log_in(
        &self,
        user: &str,
        password: &str,
        commands: &[Value],
    ) -> (Value, Vec<Value>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let caller = Caller::open(self.options.clone(), "pointsman", "lb1");
            let mut caller = caller.await.unwrap();
            let (key, proof) = (Key::random(), json!({"user": user, "password": password}));
            let proof = proof.as_object().unwrap().clone();
            let answer = caller.log_in(&self.node_key, &key, proof).await.unwrap();
            let mut answers = Vec::new();
            if let Some(id) = answer["data"]["login"].as_str() {
                let id = id.to_owned();
                let login = Login { id, key };
                for command in commands {
                    answers.push(caller.command(&login, command).await.unwrap());
                }
            }
            (answer, answers)
        })
    }
}
