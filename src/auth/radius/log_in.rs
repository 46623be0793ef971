//! A log-in: the servers one after the other, and what becomes of the answer.
//! It must not ask a second server when one has answered.

use std::{io, net::SocketAddr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    super::{Accepted, Challenge, Credentials, Outcome, Proof, Steps},
    Answer, Radius, Server,
    exchange::{self, Asking, Silence},
    packet::Question,
    tls,
};

/// How many addresses of one name are tried.
const MOST_ADDRESSES: usize = 4;
/// For how long a server that gave no answer is asked after all others.
const AVOIDED: Duration = Duration::from_secs(30);
/// What a challenge asks that says nothing.
const NO_MESSAGE: &str = "one-time code";

/// Whose challenge it is, and what they want to see again. Whoever keeps the logins keeps this
/// for as long as the answer may take, and hands out something else instead.
#[derive(Deserialize, Serialize)]
struct Asked {
    /// Which of the servers, and the address at which it answered.
    server: usize,
    address: SocketAddr,
    /// In base64.
    state: Option<String>,
}

impl Asked {
    fn state(&self) -> Option<Vec<u8>> {
        self.state
            .as_ref()
            .and_then(|state| BASE64.decode(state).ok())
    }
}

impl Radius {
    pub(super) async fn log_in(&self, credentials: &Credentials, steps: &Steps) -> Outcome {
        let user = credentials.user.as_str();
        match &credentials.proof {
            Proof::Password(password) => {
                let asking = self.asking(user, password, None, steps);
                self.ask_in_order(&asking).await
            }
            Proof::Answer { state, otp } => {
                let Ok(asked) = serde_json::from_str::<Asked>(state.expose_secret()) else {
                    return Outcome::Rejected("nothing was asked".to_owned());
                };
                let state = asked.state();
                let asking = self.asking(user, otp, state.as_deref(), steps);
                // Nobody else knows what was asked.
                let answer = self.ask(&asking, asked.server, asked.address).await;
                match answer {
                    Ok(answer) => self.settle(&asking, asked.server, asked.address, answer),
                    Err(Silence::Unfit(unfit)) => Outcome::Rejected(unfit.to_string()),
                    Err(silence) => self.silent(&[(asked.server, silence)]),
                }
            }
        }
    }

    fn asking<'a>(
        &'a self,
        user: &'a str,
        password: &'a SecretString,
        state: Option<&'a [u8]>,
        steps: &'a Steps,
    ) -> Asking<'a> {
        let options = &self.options;
        let required = options.require_message_authenticator;
        Asking {
            question: Question {
                user,
                password,
                method: options.method,
                state,
                nas: &options.node,
            },
            secret: &self.secret,
            proof_required: required.unwrap_or(self.tls.is_none()),
            timeout: options.timeout,
            retries: options.retries,
            steps,
        }
    }

    /// Asks one server after the other until one answers. Those that lately did not come last.
    async fn ask_in_order(&self, asking: &Asking<'_>) -> Outcome {
        let mut order: Vec<_> = self.options.servers.iter().enumerate().collect();
        let now = self.now();
        {
            let avoided = self.avoided();
            let late = |index: usize| avoided.get(&index).is_some_and(|until| *until > now);
            order.sort_by_key(|(index, _)| late(*index));
        }
        let mut silences = Vec::new();
        for (index, server) in order {
            match self.ask_named(asking, index, server).await {
                Ok(outcome) => return outcome,
                Err(Silence::Unfit(unfit)) => return Outcome::Rejected(unfit.to_string()),
                Err(silence) => {
                    asking.steps.tell(|| format!("{server}: {silence}"));
                    self.avoided().insert(index, self.now() + AVOIDED);
                    silences.push((index, silence));
                }
            }
        }
        self.silent(&silences)
    }

    /// Asks a server at each of its addresses, until one answers.
    async fn ask_named(
        &self,
        asking: &Asking<'_>,
        index: usize,
        server: &Server,
    ) -> Result<Outcome, Silence> {
        let found = tokio::net::lookup_host((server.host.as_str(), server.port));
        let found = tokio::time::timeout(asking.timeout, found).await;
        let found = found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let mut silence = io::Error::other("its name has no address").into();
        for address in found.take(MOST_ADDRESSES) {
            match self.ask(asking, index, address).await {
                Ok(answer) => {
                    self.avoided().remove(&index);
                    return Ok(self.settle(asking, index, address, answer));
                }
                Err(error) => silence = error,
            }
        }
        Err(silence)
    }

    async fn ask(
        &self,
        asking: &Asking<'_>,
        index: usize,
        address: SocketAddr,
    ) -> Result<Answer, Silence> {
        match (&self.tls, self.options.servers.get(index)) {
            (Some(config), Some(server)) => tls::ask(asking, address, &server.host, config).await,
            (Some(_) | None, _) => exchange::ask(asking, address).await,
        }
    }

    fn silent(&self, silences: &[(usize, Silence)]) -> Outcome {
        let told = silences.iter().map(|(index, silence)| {
            let server = self.options.servers.get(*index);
            let server = server.map(ToString::to_string).unwrap_or_default();
            format!("{server}: {silence}")
        });
        Outcome::Unavailable(told.collect::<Vec<_>>().join("; "))
    }

    fn settle(
        &self,
        asking: &Asking<'_>,
        server: usize,
        address: SocketAddr,
        answer: Answer,
    ) -> Outcome {
        let user = asking.question.user;
        match answer {
            Answer::Accept(granted) => {
                let attribute = self.options.role_attribute;
                let values = granted.values(attribute);
                asking.steps.tell(|| match values.as_slice() {
                    [] => format!("{address}: Access-Accept without {attribute}"),
                    values => format!("{address}: Access-Accept, {attribute}: {values:?}"),
                });
                let user = granted.user().unwrap_or_else(|| user.to_owned());
                Outcome::Accepted(self.accepted(&user, values))
            }
            Answer::Reject(refusal) => {
                asking.steps.tell(|| format!("{address}: Access-Reject"));
                let why = match refusal.message.as_str() {
                    "" => format!("{address} rejects them"),
                    message => format!("{address} rejects them: {message}"),
                };
                Outcome::Rejected(why)
            }
            Answer::Challenge(challenged) => {
                asking.steps.tell(|| format!("{address}: Access-Challenge"));
                let asked = Asked {
                    server,
                    address,
                    state: challenged.state.map(|state| BASE64.encode(state)),
                };
                let message = match challenged.message.as_str() {
                    "" => NO_MESSAGE.to_owned(),
                    message => message.to_owned(),
                };
                let state = serde_json::to_string(&asked).unwrap_or_default().into();
                Outcome::Challenge(Challenge { message, state })
            }
        }
    }

    fn accepted(&self, user: &str, values: Vec<String>) -> Accepted {
        Accepted {
            values,
            // All that can be known later is when it was.
            voucher: self.clock.now().unix_ms.to_string(),
            ..Accepted::named(user)
        }
    }
}
