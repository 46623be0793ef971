//! Servers that lie, stay silent, answer late or are not there.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use radius::core::code::Code;
use tokio::net::UdpSocket;

use super::{
    fake::{accept, saying, serve, signed},
    *,
};

/// Servers that are asked once again, and not for long.
fn hasty(addresses: &[SocketAddr]) -> Radius {
    let servers = addresses.iter().copied().map(at).collect();
    radius(Options {
        retries: 1,
        ..options(servers)
    })
}

/// What a log-in by way of only these servers comes to.
async fn by(addresses: &[SocketAddr]) -> Outcome {
    log_in(&hasty(addresses), "ada", "analytical").await
}

#[tokio::test]
async fn an_answer_that_is_proven_is_believed() {
    let honest = saying(|request, _| vec![accept(request, "lb-admin")]).await;
    assert_eq!(accepted(by(&[honest]).await), ["lb-admin"]);
}

#[tokio::test]
async fn who_does_not_know_the_secret_lets_nobody_in() {
    let liar = saying(|request, _| {
        let mut unsigned = vec![2, request[1], 0, 20];
        unsigned.extend([0; 16]);
        let mut echoed = request.to_vec();
        echoed[0] = 2;
        let guessed = signed(request, Code::AccessAccept, &[], "guessed");
        let rejected = signed(request, Code::AccessReject, &[], "guessed");
        vec![unsigned, echoed, guessed, rejected]
    });
    let because = unavailable(by(&[liar.await]).await);
    assert!(
        because.contains("Response Authenticator is wrong"),
        "{because}"
    );
}

#[tokio::test]
async fn a_replayed_answer_and_one_to_another_request_count_for_nothing() {
    let kept = Mutex::new(None);
    let replaying = saying(move |request, _| {
        let mut kept = kept.lock().unwrap();
        let mut answer = kept
            .get_or_insert_with(|| accept(request, "lb-admin"))
            .clone();
        let as_it_was = answer.clone();
        // Also with the identifier that is expected now.
        answer[1] = request[1];
        vec![as_it_was, answer]
    });
    let radius = hasty(&[replaying.await]);
    accepted(log_in(&radius, "ada", "analytical").await);
    for _ in 0..3 {
        unavailable(log_in(&radius, "ada", "wrong").await);
    }

    let mistaken = saying(|request, _| {
        let mut other = request.to_vec();
        other[1] = other[1].wrapping_add(1);
        vec![accept(&other, "lb-admin")]
    });
    let because = unavailable(by(&[mistaken.await]).await);
    assert!(because.contains("it answers another request"), "{because}");
}

#[tokio::test]
async fn an_answer_from_elsewhere_is_not_even_heard() {
    let elsewhere = serve(|request, _, _, from| async move {
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        other
            .send_to(&accept(&request, "lb-admin"), from)
            .await
            .unwrap();
    });
    let because = unavailable(by(&[elsewhere.await]).await);
    assert!(because.contains("says nothing"), "{because}");
}

#[tokio::test]
async fn garbage_is_passed_over_for_the_answer_that_comes_after_it() {
    let garbage = |request: &[u8]| {
        let mut cut = accept(request, "lb-admin");
        cut.truncate(30);
        let mut flipped = accept(request, "lb-admin");
        flipped[40] ^= 1;
        let mut endless = vec![0xff; 60_000];
        endless[1] = request[1];
        vec![
            vec![],
            vec![2],
            vec![0; 20],
            vec![0xff; 4096],
            cut,
            flipped,
            endless,
        ]
    };
    let only = saying(move |request, _| garbage(request)).await;
    unavailable(by(&[only]).await);
    let at_last = saying(move |request, _| {
        let mut said = garbage(request);
        said.push(accept(request, "lb-viewer"));
        said
    });
    assert_eq!(accepted(by(&[at_last.await]).await), ["lb-viewer"]);
}

#[tokio::test]
async fn the_same_bytes_are_sent_again_and_an_answer_to_the_first_counts() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    let slow = saying(move |request, number| {
        let mut heard = keep.lock().unwrap();
        heard.push(request.to_vec());
        match number {
            0 => Vec::new(),
            _ => vec![accept(&heard[0], "lb-admin")],
        }
    });
    assert_eq!(accepted(by(&[slow.await]).await), ["lb-admin"]);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0], heard[1]);
}

#[tokio::test]
async fn a_server_that_hangs_takes_its_time_and_no_more_and_is_asked_last_from_then_on() {
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let hanging = saying(move |_, _| {
        *counted.lock().unwrap() += 1;
        Vec::new()
    });
    let hanging = hanging.await;
    let honest = saying(|request, _| vec![accept(request, "lb-admin")]).await;
    let both = hasty(&[hanging, honest]);
    for _ in 0..3 {
        accepted(log_in(&both, "ada", "analytical").await);
        assert_eq!(
            *asked.lock().unwrap(),
            2,
            "twice at first, and then not any more"
        );
    }
    both.answers().await.unwrap();

    let begin = Instant::now();
    let because = unavailable(by(&[hanging]).await);
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "{:?}",
        begin.elapsed()
    );
    assert!(because.contains("no answer within 1s"), "{because}");
}

#[tokio::test]
async fn where_nobody_listens_the_next_one_is_asked_at_once() {
    // A port that nobody else gets, and where nothing from elsewhere is taken.
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect("127.0.0.1:9").await.unwrap();
    let gone = socket.local_addr().unwrap();
    let honest = saying(|request, _| vec![accept(request, "lb-admin")]).await;
    let patient = |servers| Options {
        timeout: Duration::from_secs(60),
        ..options(servers)
    };
    let begin = Instant::now();
    let both = radius(patient(vec![at(gone), at(honest)]));
    assert_eq!(
        accepted(log_in(&both, "ada", "analytical").await),
        ["lb-admin"]
    );
    let alone = radius(patient(vec![at(gone)]));
    let because = unavailable(log_in(&alone, "ada", "analytical").await);
    assert!(because.contains("refused"), "{because}");
    let away = alone.answers().await.unwrap_err();
    assert!(away.starts_with(&gone.to_string()), "{away}");
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_rejection_is_final_though_the_next_server_would_accept() {
    let rejecting = saying(|request, _| vec![signed(request, Code::AccessReject, &[], SECRET)]);
    let accepting = saying(|request, _| vec![accept(request, "lb-admin")]);
    rejected(by(&[rejecting.await, accepting.await]).await);
}

#[tokio::test]
async fn a_server_that_does_not_know_status_server_is_there_all_the_same() {
    let old = saying(|request, _| match request[0] {
        1 => vec![signed(request, Code::AccessReject, &[], SECRET)],
        _ => Vec::new(),
    });
    radius(options(vec![at(old.await)]))
        .answers()
        .await
        .unwrap();
    let liar = saying(|request, _| vec![signed(request, Code::AccessAccept, &[], "guessed")]);
    let begin = Instant::now();
    radius(options(vec![at(liar.await)]))
        .answers()
        .await
        .unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_access_accept_covers_changes_for_as_long_as_it_is_trusted() {
    let honest = saying(|request, _| vec![accept(request, "lb-admin")]).await;
    let now = Arc::new(Mutex::new(1_000_000_u64));
    let told = Arc::clone(&now);
    let clock = Clock::new(move || pointsman::auth::clock::Moment {
        at: Instant::now(),
        unix_ms: *told.lock().unwrap(),
    });
    let radius = Radius::new(options(vec![at(honest)]), clock).unwrap();
    let Outcome::Accepted(accepted) = log_in(&radius, "ada", "analytical").await else {
        panic!("not accepted");
    };
    let vouched = pointsman::auth::Vouched {
        user: accepted.user.clone(),
        rights: serde_json::from_str(r#"{"role":"admin","services":["*"]}"#).unwrap(),
        values: accepted.values.clone(),
        voucher: accepted.voucher.clone(),
    };
    for (since, trusted) in [(0, true), (299_999, true), (300_000, false)] {
        *now.lock().unwrap() = 1_000_000 + since;
        match radius.recheck(&vouched, &Steps::unheard()).await {
            Outcome::Accepted(again) => assert!(trusted && again == accepted),
            Outcome::Rejected(because) => assert!(!trusted && because.contains("5m"), "{because}"),
            other => panic!("{}", other.sentence()),
        }
    }
    // A clock that was set back does not make it younger.
    *now.lock().unwrap() = 500_000;
    rejected(radius.recheck(&vouched, &Steps::unheard()).await);
}
