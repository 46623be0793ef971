//! The probe that asks for something over HTTP/1.1, with or without TLS.
//! It must not follow where an answer leads to.

use std::{fmt, future::Future, pin::Pin};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::Instant,
};

use super::{
    Asked, Outcome, Probe, Target,
    connect::{connect, within},
};
use crate::model::topology::probe::HttpProbe;

mod answer;
mod body;

use answer::{Answer, Found};

/// Asks for something over HTTP/1.1.
pub(super) struct Http {
    wanted: HttpProbe,
    #[cfg(feature = "server")]
    tls: Option<super::tls::Client>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&self.wanted).finish()
    }
}

impl Http {
    #[cfg(feature = "server")]
    pub(super) fn new(wanted: HttpProbe, tls: Option<super::tls::Client>) -> Self {
        Self { wanted, tls }
    }

    #[cfg(not(feature = "server"))]
    pub(super) fn new(wanted: HttpProbe) -> Self {
        Self { wanted }
    }

    async fn found(&self, address: &Asked, deadline: Instant) -> Result<Found, Outcome> {
        let stream = connect(address, deadline).await?;
        #[cfg(feature = "server")]
        if let Some(tls) = &self.tls {
            let stream = tls.handshake(stream, address, deadline).await?;
            return self.talk(stream, address, deadline).await;
        }
        self.talk(stream, address, deadline).await
    }

    async fn talk<S>(
        &self,
        mut stream: S,
        address: &Asked,
        deadline: Instant,
    ) -> Result<Found, Outcome>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut answer = Answer::new(&self.wanted);
        let talking = async {
            stream.write_all(self.request(address).as_bytes()).await?;
            stream.flush().await?;
            let mut buffer = [0; 4096];
            loop {
                let read = stream.read(&mut buffer).await?;
                let fresh = buffer.get(..read).unwrap_or_default();
                if let Some(end) = answer.take(fresh) {
                    return Ok(end);
                }
            }
        };
        let found = within(deadline, "", talking).await;
        match found {
            Ok(Ok(found)) => found.map_err(Outcome::failed),
            Ok(Err(error)) => Err(Outcome::of_error(&answer.so_far(), &error)),
            Err(_) => {
                let so_far = answer.so_far();
                Err(Outcome::failed(format!("{so_far}, and no more in time")))
            }
        }
    }

    fn request(&self, address: &Asked) -> String {
        let method = self.wanted.method.word();
        let path = self.wanted.path.as_str();
        let host = match &self.wanted.host {
            Some(host) => host.as_str().to_owned(),
            None => address.authority(),
        };
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: pointsman-probe\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n"
        )
    }

    fn judge(&self, found: &Found) -> Outcome {
        let status = found.status;
        let wanted = &self.wanted.status;
        if !wanted.iter().any(|range| range.contains(status)) {
            let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            let wanted = wanted.join(", ");
            return Outcome::failed(format!("answers {status}, not {wanted}"));
        }
        match (&self.wanted.body, found.has_text) {
            (Some(text), false) => {
                let text = text.as_str();
                Outcome::failed(format!("answers {status}, but its body has no {text:?}"))
            }
            (Some(_) | None, _) => Outcome::passed(format!("answers {status}")),
        }
    }
}

impl Probe for Http {
    fn ask<'a>(
        &'a self,
        _target: &'a Target,
        address: &'a Asked,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            match self.found(address, deadline).await {
                Ok(found) => self.judge(&found),
                Err(outcome) => outcome,
            }
        })
    }
}
