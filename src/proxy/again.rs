//! A host that breaks off before a byte has gone either way: as if it had refused the connection.
//! It must not send a client elsewhere of whom a host may have heard.

use super::{
    ending::{Ending, Side},
    flow::Flow,
    relay::Flows,
    session::{Connected, Session},
    socket::Socket,
};

impl Session {
    /// Whether the host broke the connection, within the time that a connect may take, and neither
    /// side has had anything of the other: a host that is killed resets who waits to be accepted.
    pub(super) fn is_untouched(
        &self,
        connected: &Connected,
        ending: &Ending,
        bytes: (u64, u64),
        flows: &Flows,
    ) -> bool {
        let limit = self.service().view().terms.timeouts.connect;
        matches!(ending, Ending::Broken(Side::Host, _))
            && bytes == (0, 0)
            && flows.up.is_untouched()
            && flows.down.is_untouched()
            && limit.is_none_or(|limit| connected.since.elapsed() <= limit)
    }

    /// Another host than `gone`, where there is one and `retries` allow it. What `gone` did counts
    /// as a failed session of it then.
    pub(super) async fn find_another(
        &self,
        client: &Socket,
        gone: &Connected,
        up: &mut Flow,
        tried: &mut Vec<u64>,
    ) -> Option<Connected> {
        let host = gone.lease.host();
        tried.push(host.serial());
        let another = self.find_host(client, up, tried).await.ok()?;
        tracing::debug!(host = %host.path(), "broke off at once, and another was found");
        host.counters.early_resets.increment();
        Some(another)
    }
}
