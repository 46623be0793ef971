//! `pointsman auth test`: a log-in tried against the directories themselves, step by step.
//! It must not need a node, let anybody in, or show what was typed.

use std::path::Path;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Exit, ask, complain, complain_of_config, say, style::clean, table::Table, terminal};
use crate::{
    app::trial,
    auth::{Credentials, Proof, Trial, Tried},
    config::read,
    model::error::Code,
};

/// How many things more a directory may ask for.
const QUESTIONS: usize = 8;

/// Tries to log `user` in, as the settings in `file` have it.
pub(super) fn run(user: &str, file: &Path, as_json: bool) -> Exit {
    let config = match read(file) {
        Ok(config) => config,
        Err(error) => {
            complain_of_config(&error);
            return Exit::Invalid;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error);
            return Exit::Failed;
        }
    };
    let mut trial = match trial(&config.settings) {
        Ok(trial) => trial,
        Err(error) => {
            complain(&format_args!("{}: [auth]: {error}", file.display()));
            return Exit::Invalid;
        }
    };
    match runtime.block_on(tried(&mut trial, user)) {
        Ok(tried) => report(&trial, &tried, as_json),
        Err(error) => {
            complain(&error);
            error.exit()
        }
    }
}

async fn tried(trial: &mut Trial, user: &str) -> Result<Tried, ask::AskError> {
    let password = ask::secret(&format!("Password of {}: ", clean(user)))?;
    let mut proof = Proof::Password(password);
    for _ in 0..QUESTIONS {
        let user = user.to_owned();
        match trial.put(&Credentials { user, proof }).await {
            Tried::Asked(question) => {
                let message = clean(question.message.trim_end_matches(':'));
                let otp: SecretString = ask::secret(&format!("{message}: "))?;
                let state = question.state;
                proof = Proof::Answer { state, otp };
            }
            other @ (Tried::In { .. } | Tried::Denied(_) | Tried::Unavailable(_)) => {
                return Ok(other);
            }
        }
    }
    let because = "it asks and asks; that is no log-in".to_owned();
    Ok(Tried::Denied(because))
}

fn report(trial: &Trial, tried: &Tried, as_json: bool) -> Exit {
    let (exit, result, data) = result(tried);
    if as_json {
        let mut report = json!({"ok": exit == Exit::Done, "steps": trial.told()});
        let key = if exit == Exit::Done { "data" } else { "error" };
        report[key] = data;
        say(&report.to_string());
        return exit;
    }
    let mut table = Table::new(&["step", "what happened", ""]);
    let told = trial.told();
    for (index, step) in told.iter().enumerate() {
        let last = index + 1 == told.len();
        let mark = match (last, exit) {
            (true, Exit::Done) => "ok",
            (true, _) => "failed",
            (false, _) => "",
        };
        table.row([(index + 1).to_string(), step.clone(), mark.to_owned()]);
    }
    let (_, colour) = terminal();
    say(&table.render(colour));
    say(&clean(&result));
    exit
}

/// The exit, the sentence and the data of a result.
fn result(tried: &Tried) -> (Exit, String, Value) {
    let refused = |code: Code, sentence: String| {
        let data = json!({"code": code, "message": sentence});
        (code.into(), sentence, data)
    };
    match tried {
        Tried::In {
            user,
            by,
            rights,
            because,
        } => {
            let sentence = format!(
                "{user} would be let in by {by} as {} ({because})",
                rights.sentence()
            );
            let data = json!({"user": user, "by": by, "role": rights.role,
                "services": rights.services, "because": because});
            (Exit::Done, sentence, data)
        }
        Tried::Denied(because) => refused(Code::Denied, format!("no access: {because}")),
        Tried::Unavailable(because) => {
            refused(Code::Unavailable, format!("nobody can tell now: {because}"))
        }
        Tried::Asked(question) => refused(Code::Denied, question.message.clone()),
    }
}
