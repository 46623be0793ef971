//! Follows the names of hosts, and tells the runtime where they lead.
//! It must not decide what follows from that.
//!
//! With the feature `server` name servers are asked, as the system is configured, and again when an
//! answer has aged. Without it the system is asked (`getaddrinfo`), every half minute.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::{runtime::Handle, task::AbortHandle};

use super::{
    reconcile::{Follower, Heard, Runtime},
    watch::Bell,
};
#[cfg(feature = "server")]
pub(super) use crate::discovery::dns::Resolver;
#[cfg(feature = "server")]
use crate::discovery::dns::{Finding, follow};
#[cfg(not(feature = "server"))]
use plain::follow;
#[cfg(not(feature = "server"))]
pub(super) use plain::{Finding, Resolver};

/// Follows names on a runtime.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) resolver: Resolver,
    pub(super) runtime: Weak<Mutex<Runtime>>,
    pub(super) bell: Arc<Bell>,
    pub(super) on: Handle,
}

impl Follower for Following {
    fn follow(&self, name: &Arc<str>) -> AbortHandle {
        let (runtime, bell) = (Weak::clone(&self.runtime), Arc::clone(&self.bell));
        let told = Arc::clone(name);
        let hear = move |finding| {
            let heard = match finding {
                Finding::Addresses(addresses) => Heard::Leads(addresses),
                Finding::Lost(error) => Heard::Lost(error.to_string()),
                Finding::Back => Heard::Back,
            };
            let Some(runtime) = runtime.upgrade() else {
                return;
            };
            let mut runtime = runtime.lock().unwrap_or_else(PoisonError::into_inner);
            if runtime.hear(&told, heard) {
                bell.ring();
            }
        };
        let following = follow(self.resolver.clone(), Arc::clone(name), hear);
        self.on.spawn(following).abort_handle()
    }
}

#[cfg(not(feature = "server"))]
mod plain {
    //! The system's own resolver, which does not say how long an answer is good for. It must not be
    //! asked from where sessions run; tokio asks it from threads of its own.

    use std::{io, net::IpAddr, sync::Arc, time::Duration};

    use tokio::{net::lookup_host, time::sleep};

    /// How long after an answer it is asked again.
    const AGAIN: Duration = Duration::from_secs(30);
    /// How long after a failure.
    const RETRY: Duration = Duration::from_secs(5);

    #[derive(Clone, Debug, Default)]
    pub(in crate::control) struct Resolver;

    impl Resolver {
        pub(in crate::control) fn system() -> Self {
            Self
        }
    }

    pub(in crate::control) enum Finding {
        Addresses(Vec<IpAddr>),
        Lost(io::Error),
        Back,
    }

    pub(super) async fn follow(_: Resolver, name: Arc<str>, mut heard: impl FnMut(Finding)) {
        let (mut known, mut lost) = (Vec::new(), false);
        loop {
            let found = lookup_host((&*name, 0)).await.map(|found| {
                let mut found: Vec<_> = found.map(|address| address.ip()).collect();
                found.sort_unstable();
                found.dedup();
                found
            });
            let pause = match found {
                Ok(found) if found != known => {
                    known.clone_from(&found);
                    heard(Finding::Addresses(found));
                    AGAIN
                }
                Ok(_) => {
                    if lost {
                        heard(Finding::Back);
                    }
                    AGAIN
                }
                Err(error) => {
                    if !lost {
                        heard(Finding::Lost(error));
                    }
                    RETRY
                }
            };
            lost = pause == RETRY;
            sleep(pause).await;
        }
    }
}
