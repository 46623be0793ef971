//! A log-in that is only tried, step by step, for whoever administers the directories.
//! It must not let anybody in, nor keep what was shown.

use super::{
    Challenge, Credentials, Options, Outcome, Proof, Steps,
    backends::{Backends, Verdict},
    login,
    rules::{self, Rights, Rule},
};
use crate::model::{error::CommandError, principal::Door};

/// What a trial came to.
#[derive(Clone, Debug)]
pub enum Tried {
    /// They would be in.
    In {
        /// Their name, as the backend spells it.
        user: String,
        /// Who vouched for them.
        by: &'static str,
        /// What they could do.
        rights: Rights,
        /// Which rule says so.
        because: String,
    },
    /// One more question first.
    Asked(Challenge),
    /// They would be refused, for this reason.
    Denied(String),
    /// Nobody can tell, for this reason.
    Unavailable(String),
}

/// Backends to be tried, as the settings have them.
#[derive(Debug)]
pub struct Trial {
    backends: Backends,
    rules: Vec<Rule>,
    steps: Steps,
    /// Who asked last.
    asked: &'static str,
}

impl Trial {
    /// Nobody is asked yet.
    ///
    /// # Errors
    /// `invalid`: what is wrong with the users.
    pub fn new(options: &Options) -> Result<Self, CommandError> {
        Ok(Self {
            backends: login::new_backends(options)?,
            rules: options.rules.clone(),
            steps: Steps::kept(),
            asked: "",
        })
    }

    /// Tries a log-in as if it came by the Unix socket. The answer to a question goes to whoever
    /// asked it. Takes at most the time for a log-in.
    pub async fn put(&mut self, credentials: &Credentials) -> Tried {
        if let Err(what) = credentials.check() {
            self.steps.tell(|| format!("nobody is asked: {what}"));
            return Tried::Denied(what.to_owned());
        }
        let verdict = match &credentials.proof {
            Proof::Password(_) => {
                let asked = self
                    .backends
                    .authenticate(credentials, Door::Socket, &self.steps);
                asked.await
            }
            Proof::Answer { .. } => {
                let verdict = self.backends.answer(self.asked, credentials, &self.steps);
                let verdict = verdict.await;
                let sentence = verdict.outcome.sentence();
                self.steps.tell(|| format!("{}: {sentence}", verdict.by));
                verdict
            }
        };
        self.judge(verdict)
    }

    fn judge(&mut self, verdict: Verdict) -> Tried {
        let accepted = match verdict.outcome {
            Outcome::Accepted(accepted) => accepted,
            Outcome::Rejected(because) => return Tried::Denied(because),
            Outcome::Unavailable(because) => return Tried::Unavailable(because),
            Outcome::Challenge(challenge) => {
                self.asked = verdict.by;
                return Tried::Asked(challenge);
            }
        };
        let sentence = rules::explain(&self.rules, &accepted);
        self.steps.tell(|| sentence);
        let judgement = rules::judge(&self.rules, &accepted);
        match judgement.rights {
            Some(rights) => Tried::In {
                user: accepted.user,
                by: verdict.by,
                rights,
                because: judgement.because,
            },
            None => Tried::Denied(judgement.because),
        }
    }

    /// What happened so far, in sentences, in its order.
    pub fn told(&self) -> Vec<String> {
        self.steps.told()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            backends::Fallback,
            tests::{Scripted, accept, away, backends, reject},
        },
        *,
    };

    fn trial(says: fn() -> Outcome) -> Trial {
        let directory = Scripted::new("ldap", says);
        Trial {
            backends: backends(&[&directory], Fallback::None),
            rules: Vec::new(),
            steps: Steps::kept(),
            asked: "",
        }
    }

    #[tokio::test]
    async fn a_trial_tells_who_said_what_and_what_the_rules_make_of_it() {
        let shown = |user: &str| Credentials {
            user: user.to_owned(),
            proof: Proof::Password("hunter2".into()),
        };
        let mut refused = trial(reject);
        let tried = refused.put(&shown("ada")).await;
        assert!(matches!(tried, Tried::Denied(because) if because == "no"));
        assert_eq!(refused.told(), ["ldap: rejected: no"]);
        let mut ruled_out = trial(accept);
        let tried = ruled_out.put(&shown("ada")).await;
        assert!(matches!(tried, Tried::Denied(because) if because == "no rule matches"));
        let last = "no rule matches ada: no access";
        assert_eq!(ruled_out.told(), ["ldap: accepted as ada", last]);
        let mut nobody = trial(away);
        let tried = nobody.put(&shown("ada")).await;
        assert!(matches!(tried, Tried::Unavailable(_)));
        let tried = trial(accept).put(&shown(" ")).await;
        assert!(matches!(tried, Tried::Denied(_)));
    }
}
