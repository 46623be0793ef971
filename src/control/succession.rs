//! Another process in our place: the contract of whoever starts it and hands over to it.
//! It must not know how the two processes talk.

use std::{os::fd::OwnedFd, sync::Arc};

use serde_json::{Map, Value};

use super::{
    answer::Answer,
    handle::{Control, busy},
    outside::Later,
    record::{Entry, Once},
};
use crate::model::{
    command::{Options, Request},
    error::CommandError,
    policy::authorize,
    principal::Principal,
};

pub use super::listening::Key;

/// What can put another process in the place of this one.
pub trait Succession: Send + Sync + std::fmt::Debug {
    /// Starts the program that is installed now, and has it look at its configuration. What
    /// another process would do twice stops, unless it is a `rehearsal`.
    ///
    /// # Errors
    /// Why there is no such process; everything is as before then.
    fn begin(&self, rehearsal: bool) -> Later<'_, Result<Box<dyn Successor>, CommandError>>;
}

/// A process that waits to take over. Dropped, it is ended, and everything is as before.
pub trait Successor: Send + std::fmt::Debug {
    /// What there is to say of it, for the answer.
    fn about(&self) -> Map<String, Value>;

    /// Hands `legacy` over. Blocks, for a bounded time, until the other process serves.
    ///
    /// # Errors
    /// Why it does not; it has ended then, and everything is as before.
    fn take_over(self: Box<Self>, legacy: Legacy) -> Result<(), CommandError>;
}

/// What is handed over, besides the journal.
#[derive(Debug)]
pub struct Legacy {
    /// The sockets of the services.
    pub listeners: Vec<(Key, OwnedFd)>,
    /// What is to be recorded of the command that asked for it.
    pub entry: Entry,
}

impl Control {
    /// Carries out `upgrade`, whether or not whoever asked goes on to wait: the door that they
    /// came by may close over it.
    pub(super) async fn upgrade(
        &self,
        principal: Principal,
        request: Request,
        id: String,
        once: Option<Once>,
    ) -> Answer {
        let control = self.clone();
        let refused = Answer::refused(id.clone(), 0, busy());
        let carried_out = tokio::spawn(async move {
            let (principal, mut before) = control.ask_first(principal, &request.command).await;
            let mut successor = None;
            if before.is_ok() && authorize(&principal, request.command.clone(), None).is_ok() {
                match control.begin(&request.options).await {
                    Ok(begun) => successor = Some(begun),
                    Err(error) => before = Err(error),
                }
            }
            let found = (before, successor);
            control.hand_in(principal, request, id, once, found).await
        });
        carried_out.await.unwrap_or(refused)
    }

    async fn begin(&self, options: &Options) -> Result<Box<dyn Successor>, CommandError> {
        if options.confirm_within.is_some() {
            let message = "an upgrade does not undo itself; upgrade to the former program instead";
            return Err(CommandError::invalid(message));
        }
        match self.succession.as_ref().map(Arc::clone) {
            Some(succession) => succession.begin(options.dry_run).await,
            None => Err(CommandError::invalid("there is no program here to upgrade")),
        }
    }
}
