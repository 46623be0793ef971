//! Listeners that come from another process or go to one.
//! It must not accept on what was inherited before it is told to.

use std::{io, os::fd::OwnedFd, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::Runtime;
use crate::{
    balance::Service,
    control::listening::Key,
    proxy::listener::{Acceptors, Listener},
};

/// What an heir has until it is told to accept.
#[derive(Debug, Default)]
pub(in crate::control) struct Inheritance {
    /// Listeners that were handed to us.
    pub(in crate::control) listeners: Vec<(Key, Listener)>,
    waiting: Vec<(Acceptors, Arc<Service>, CancellationToken)>,
}

impl Runtime {
    /// Has what is bound from now on taken from `listeners`, where it is there. Nothing is
    /// accepted, on any listener, before [`Self::begin_to_accept`].
    ///
    /// # Errors
    /// When one is no socket that listens.
    pub(in crate::control) fn inherit(&mut self, listeners: Vec<(Key, OwnedFd)>) -> io::Result<()> {
        let listeners = listeners.into_iter();
        let listeners = listeners.filter_map(|(key, fd)| inherited(key, fd).transpose());
        self.inheritance = Some(Inheritance {
            listeners: listeners.collect::<io::Result<_>>()?,
            waiting: Vec::new(),
        });
        Ok(())
    }

    /// Accepts on everything; what was inherited and is not wanted is let go of.
    pub(in crate::control) fn begin_to_accept(&mut self) {
        let Some(inheritance) = self.inheritance.take() else {
            return;
        };
        let inherited = inheritance.listeners.iter();
        inherited.for_each(|(_, listener)| listener.answer_for_file(true));
        for (acceptors, service, stop) in inheritance.waiting {
            acceptors.start(&service, &stop, &self.acceptors);
        }
    }

    pub(super) fn accept_on(
        &mut self,
        acceptors: Acceptors,
        service: &Arc<Service>,
        stop: &CancellationToken,
    ) {
        match &mut self.inheritance {
            Some(Inheritance { waiting, .. }) => {
                waiting.push((acceptors, Arc::clone(service), stop.clone()));
            }
            None => acceptors.start(service, stop, &self.acceptors),
        }
    }

    /// Whether the files of Unix sockets go when this process closes them.
    pub(in crate::control) fn answer_for_files(&self, ours: bool) {
        for listening in self.listening.values() {
            listening.listener.answer_for_file(ours);
        }
    }

    /// Every listener, for another process to inherit.
    ///
    /// # Errors
    /// When there are no descriptors for it.
    pub(in crate::control) fn listeners(&self) -> io::Result<Vec<(Key, OwnedFd)>> {
        let listening = self.listening.iter();
        listening
            .map(|(key, listening)| Ok((key.clone(), listening.listener.duplicate()?)))
            .collect()
    }
}

/// The listener that `fd` is; none where the file of a Unix socket was removed, which nobody can
/// connect to any more: it is bound anew.
fn inherited(key: Key, fd: OwnedFd) -> io::Result<Option<(Key, Listener)>> {
    match Listener::inherit(fd, &key.0) {
        Ok(listener) => Ok(Some((key, listener))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(address = %key.0, "the file of a socket was removed; it is bound anew");
            Ok(None)
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", key.0))),
    }
}
