//! What the pipeline needs of the outside besides the journal: the file, and who is logged in.
//! It must not do anything; the program fills it in, an embedder leaves it out.

use std::pin::Pin;

use serde_json::{Map, Value};

use crate::{
    health::Means,
    model::{
        check::Names, command::Command, error::CommandError, event::Event, principal::Principal,
        topology::Topology,
    },
};

/// The configuration file. Calls block.
pub trait File: Send + std::fmt::Debug {
    /// What the file says now, and the digest of its text.
    ///
    /// # Errors
    /// `invalid` with every problem when it does not pass, `failed` when it cannot be read.
    fn read(&mut self) -> Result<(Topology, Vec<u8>), CommandError>;

    /// The names that services may use, by the settings that are in effect.
    fn names(&self) -> Names;

    /// Has whatever lives by the settings get ready for those that were read last.
    ///
    /// # Errors
    /// What the world refuses of them; nothing has changed then.
    fn prepare_settings(&mut self) -> Result<PreparedSettings, CommandError>;

    /// Takes the text with this digest for what this program wrote last, as `revision`: a reload.
    fn adopt(&mut self, digest: Vec<u8>, revision: u64);

    /// Writes `next` beside the file, which is `revision`, durably and unseen.
    ///
    /// # Errors
    /// `conflict` when somebody has edited the file since, `failed` when it cannot be written.
    fn prepare(
        &mut self,
        next: &Topology,
        revision: u64,
    ) -> Result<Box<dyn PreparedFile>, CommandError>;

    /// What is kept for a revision that is not in the file, as [`PreparedFile::digest`] is for
    /// one that is: by it the next start knows that the file does not have it.
    fn left_alone(&self) -> Vec<u8>;

    /// Puts the prepared text in the place of the file.
    ///
    /// # Errors
    /// Why it is not there. The change is in effect all the same.
    fn commit(&mut self, prepared: Box<dyn PreparedFile>) -> Result<(), NotCommitted>;
}

/// Settings that everything is ready for. Dropped, they leave no trace.
pub struct PreparedSettings {
    /// The names of what changes, for the answer.
    pub told: Map<String, Value>,
    /// What probes have from them.
    pub means: Means,
    /// Takes them in. Cannot fail.
    pub commit: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for PreparedSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedSettings")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

/// A text that could not be put in the place of the file.
#[derive(Debug)]
pub struct NotCommitted {
    /// Why.
    pub message: String,
    /// The text; as long as it is there, the next start finds it.
    pub text: Option<Box<dyn PreparedFile>>,
    /// Whether trying again may help; not when somebody has edited the file meanwhile.
    pub again: bool,
}

/// What is told about people, and what is to be recorded with it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The data of the answer.
    pub data: Value,
    /// What happened.
    pub events: Vec<Event>,
    /// What is to be kept under which key; `None` is to be forgotten.
    pub keep: Vec<(String, Option<Value>)>,
}

/// A new text of the file, not visible yet. Dropped, it leaves no trace.
pub trait PreparedFile: Send + std::fmt::Debug + std::any::Any {
    /// The digest of the text.
    fn digest(&self) -> Vec<u8>;

    /// Itself, for the [`File`] that made it.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
}

/// What is ready later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who is logged in, and what the directory says of them now.
///
/// What may have to ask a directory happens before a command waits for the control task, which
/// never waits for anybody outside.
pub trait Access: Send + Sync + std::fmt::Debug {
    /// Asks again whether `principal` still is who they were, before a change is taken in, unless
    /// that was answered lately. Gives them back with the rights that they have now. Takes no
    /// longer than a log-in may.
    ///
    /// # Errors
    /// `denied` when they are not, `unavailable` when nobody can say.
    fn recheck<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> Later<'a, Result<Principal, CommandError>>;

    /// Asks what has to be known of `user` to explain their access, in sentences.
    fn look_up<'a>(&'a self, user: &'a str) -> Later<'a, Vec<String>>;

    /// Who `principal` is at the moment when a change is applied, by what [`Self::recheck`] learnt.
    /// Asks nobody and does not wait.
    ///
    /// # Errors
    /// `denied` when their login has ended, `unavailable` when what was learnt is too old by now.
    fn standing(&self, principal: &Principal) -> Result<Principal, CommandError>;

    /// Answers `logout`, `logins`, `end-login`, `explain-access`, and `whoami` for a login.
    /// `found` is what [`Self::look_up`] found.
    ///
    /// # Errors
    /// `not-found` or `denied`, with what and which.
    fn answer(
        &self,
        principal: &Principal,
        command: &Command,
        found: &[String],
    ) -> Result<Told, CommandError>;
}

/// The message bus.
pub trait Bus: Send + Sync + std::fmt::Debug {
    /// How it is, when `newest` is the number of the last event; `None` where there is none.
    fn status(&self, newest: u64) -> Option<BusStatus>;
}

/// How the message bus is, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BusStatus {
    /// Whether there is a connection.
    pub connected: bool,
    /// To which broker.
    pub broker: Option<String>,
    /// Events that the broker has confirmed since the connection was set up.
    pub sent: u64,
    /// Events that wait to be sent or confirmed.
    pub waiting: u64,
    /// Events that went before they could be sent, since then.
    pub lost: u64,
    /// Why nothing is sent, when something is wrong.
    pub trouble: Option<String>,
}
