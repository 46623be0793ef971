//! What somebody could do, and why: for the administrator who asks.
//! It must not ask for a password, nor let anybody in.

use super::{
    super::{Accepted, Steps, backends::Backends},
    Arc, Logins, Outcome, User, live, rules,
};

impl Logins {
    /// What backends know of `user` without a password, and what the rules make of it, in
    /// sentences. Asks directories; takes at most the time for a log-in.
    pub async fn look_up(&self, user: &str) -> Vec<String> {
        let (backends, rules, deadline) = {
            let inner = self.inner();
            let options = &inner.options;
            let rules = options.rules.clone();
            (Arc::clone(&inner.backends), rules, options.deadline)
        };
        let mut sentences = Vec::new();
        if super::super::plausible(user, super::super::MAX_INPUT).is_err() {
            return vec!["nobody can have that name".to_owned()];
        }
        for (by, outcome) in self.known(&backends, user, deadline).await {
            match outcome {
                Outcome::Accepted(accepted) => {
                    sentences.push(knows(by, &accepted));
                    if accepted.rights.is_none() {
                        sentences.push(rules::explain(&rules, &accepted));
                    }
                }
                Outcome::Rejected(because) => sentences.push(format!("{by}: {because}")),
                Outcome::Unavailable(because) => {
                    sentences.push(format!("{by} cannot tell: {because}"));
                    let by_name = rules::explain(&rules, &Accepted::named(user));
                    sentences.push(format!("by the name alone, {by_name}"));
                }
                Outcome::Challenge(_) => sentences.push(format!("{by} asks for more")),
            }
        }
        sentences
    }

    async fn known(
        &self,
        backends: &Backends,
        user: &str,
        deadline: std::time::Duration,
    ) -> Vec<(&'static str, Outcome)> {
        let (end, steps) = (tokio::time::Instant::now() + deadline, Steps::unheard());
        let mut known = Vec::new();
        for member in backends.iter() {
            let outcome = member.look_up(user, end, &steps).await;
            known.push((member.kind(), outcome));
        }
        known
    }

    /// What `user` could do and why: `found` is what [`Self::look_up`] found.
    pub fn explain_access(&self, user: &str, found: &[String]) -> Vec<String> {
        let inner = self.inner();
        let mut sentences = found.to_vec();
        let listed = |listed: &User| listed.name == user;
        if inner.backends.iter().all(|member| member.kind() != "local")
            && inner.options.users.iter().any(listed)
        {
            sentences.push("local users may not log in: backends does not list local".to_owned());
        }
        let now = self.clock.now();
        for login in live(&inner.table, now).filter(|login| login.user == user) {
            sentences.push(format!(
                "logged in as {} from {} by {}, login {}",
                login.role, login.from, login.by, login.id
            ));
        }
        sentences
    }
}

fn knows(by: &str, accepted: &Accepted) -> String {
    let (user, groups) = (&accepted.user, &accepted.groups);
    let mut sentence = format!("{by} knows {user}");
    if let Some(rights) = &accepted.rights {
        sentence = format!("{sentence}, with the role {}", rights.sentence());
    }
    if !groups.is_empty() {
        sentence = format!("{sentence}, in {}", groups.join("; "));
    }
    sentence
}
