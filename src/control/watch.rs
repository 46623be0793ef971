//! The watch: looks from time to time, and at once when a host's health may have flipped.
//! It must not be held up by anybody, nor hold up anybody: it takes the lock for moments.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    following::{Following, Resolver},
    reconcile::Runtime,
};
use crate::{
    health::{
        Outcome, Target,
        checker::{Checker, Observer},
    },
    model::address::Endpoint,
};

/// How often failed sessions are counted, and what is due is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long after a look the next one comes at the soonest: what flips within that time goes
/// into one view.
const TOGETHER: Duration = Duration::from_millis(10);

/// Who is told that something happened.
type Hearer = Box<dyn Fn() + Send + Sync>;

/// The bell as its owner holds it: it rings a last time when let go.
#[derive(Debug)]
pub(super) struct Rope {
    bell: Arc<Bell>,
    on: Handle,
}

impl Rope {
    /// Who has `resolver` asked for `runtime`.
    pub(super) fn follower(&self, runtime: &Arc<Mutex<Runtime>>, resolver: Resolver) -> Following {
        Following {
            resolver,
            runtime: Arc::downgrade(runtime),
            bell: Arc::clone(&self.bell),
            on: self.on.clone(),
        }
    }
}

impl std::ops::Deref for Rope {
    type Target = Bell;

    fn deref(&self) -> &Bell {
        &self.bell
    }
}

impl Drop for Rope {
    fn drop(&mut self) {
        self.bell.ring();
    }
}

/// What the watch shares with those who wake it.
#[derive(Default)]
pub(super) struct Bell {
    rung: Notify,
    hearer: OnceLock<Hearer>,
}

impl Bell {
    /// Has the watch look now.
    pub(super) fn ring(&self) {
        self.rung.notify_one();
    }

    /// Has `hearer` told whenever something has happened; the first one to ask counts.
    pub(super) fn hear(&self, hearer: Hearer) {
        let _ = self.hearer.set(hearer);
    }
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bell")
    }
}

/// Begins to watch `runtime`, to probe and to follow names for it, on `on`, until it is dropped.
pub(super) fn begin(runtime: &Arc<Mutex<Runtime>>, on: &Handle) -> Rope {
    let bell = Arc::new(Bell::default());
    let observer = Watched {
        runtime: Arc::downgrade(runtime),
        bell: Arc::clone(&bell),
    };
    let checker = Checker::new(on.clone(), Arc::new(observer));
    with(runtime, |runtime| runtime.set_checker(checker));
    on.spawn(watch(Arc::downgrade(runtime), Arc::clone(&bell)));
    let rope = Rope {
        bell,
        on: on.clone(),
    };
    let follower = rope.follower(runtime, Resolver::system());
    with(runtime, |runtime| runtime.set_follower(Box::new(follower)));
    rope
}

#[derive(Debug)]
struct Watched {
    runtime: Weak<Mutex<Runtime>>,
    bell: Arc<Bell>,
}

impl Observer for Watched {
    fn reached(&self, target: &Target) -> Option<Endpoint> {
        let runtime = self.runtime.upgrade()?;
        with(&runtime, |runtime| runtime.host(&target.host))?
            .reach()
            .first()
    }

    fn observed(
        &self,
        target: &Target,
        at: Option<&Endpoint>,
        outcome: Outcome,
    ) -> Option<Duration> {
        let runtime = self.runtime.upgrade()?;
        let (pause, news) = with(&runtime, |runtime| runtime.observe(target, at, outcome))?;
        if news {
            self.bell.ring();
        }
        Some(Duration::from_millis(pause))
    }
}

async fn watch(runtime: Weak<Mutex<Runtime>>, bell: Arc<Bell>) {
    let mut watched = false;
    loop {
        if watched {
            // Whether it was rung or time has passed, it is time to look.
            let _ = timeout(LOOK, bell.rung.notified()).await;
        } else {
            bell.rung.notified().await;
        }
        let Some(runtime) = runtime.upgrade() else {
            return;
        };
        let happened = with(&runtime, |runtime| {
            watched = runtime.is_watched();
            runtime.tick()
        });
        drop(runtime);
        if happened && let Some(hearer) = bell.hearer.get() {
            hearer();
        }
        sleep(TOGETHER).await;
    }
}

fn with<T>(runtime: &Mutex<Runtime>, work: impl FnOnce(&mut Runtime) -> T) -> T {
    work(&mut runtime.lock().unwrap_or_else(PoisonError::into_inner))
}
