//! Connecting, staying connected, and leaving.
//! It must not depend on how long anything really takes.

use super::*;

#[tokio::test(start_paused = true)]
async fn it_logs_in_with_the_one_version_that_it_speaks() {
    let (_client, mut dialled) = client();
    let mut fake = dialled.recv().await.unwrap();
    let connect = fake.greet().await;
    let header = |name: &str| connect.headers[name].as_str();
    assert_eq!(header("accept-version"), "1.2");
    assert_eq!(header("host"), "one");
    assert_eq!(header("login"), "pointsman");
    assert_eq!(header("passcode"), "open:sesame");
    assert_eq!(header("heart-beat"), "10000,10000");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_refuses_the_login_or_speaks_another_version_is_passed_over() {
    let (client, mut dialled) = client();
    let mut link = client.link();
    for (answer, why) in [
        (
            "ERROR\nmessage:User name [x] is invalid.\n\n\0",
            "stomp://one:61613: the broker refused the log-in: User name [x] is invalid.",
        ),
        (
            "CONNECTED\nversion:1.1\n\n\0",
            "stomp://two:61613: the broker speaks STOMP \"1.1\", and not 1.2",
        ),
        (
            "CONNECTED\n\n\0",
            "stomp://one:61613: the broker speaks STOMP \"1.0\", and not 1.2",
        ),
        (
            &format!("CONNECTED\nversion:{}\n\n\0", "9".repeat(8000)),
            "stomp://two:61613: the broker speaks STOMP \"99999999999999999999\", and not 1.2",
        ),
        (
            "HTTP/1.1 200 OK\n",
            "stomp://one:61613: \"HTTP/1.1 2\" is no command of a broker",
        ),
        ("", "stomp://two:61613: no answer within 5s"),
    ] {
        let mut fake = dialled.recv().await.unwrap();
        fake.expect("CONNECT").await;
        fake.say(answer).await;
        link.changed().await.unwrap();
        assert_eq!(down(&client), why);
    }
    assert!(!format!("{:?}", options()).contains("sesame"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_dead_after_three_heart_beats_and_the_next_is_taken() {
    let (client, mut dialled, _fake) = connected().await;
    let (began, mut link) = (Instant::now(), client.link());
    link.changed().await.unwrap();
    assert_eq!(began.elapsed(), 30 * SECOND);
    assert_eq!(down(&client), "stomp://one:61613: nothing heard for 30.0s");
    assert_eq!(dialled.recv().await.unwrap().broker.host, "two");
    assert!(began.elapsed() <= 30 * SECOND + SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn the_broker_hears_from_us_twice_in_the_time_that_we_promised() {
    let (_client, _dialled, mut fake) = connected().await;
    let began = Instant::now();
    for beat in 1..=4 {
        fake.say("\n").await;
        assert_eq!(fake.stream.read_u8().await.unwrap(), b'\n');
        assert_eq!(began.elapsed(), 5 * beat * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_nothing_is_sent_now_or_later() {
    let (client, mut dialled, fake) = connected().await;
    let mut link = client.link();
    drop(fake);
    link.changed().await.unwrap();
    assert_eq!(down(&client), "stomp://one:61613: the broker hung up");
    assert_eq!(client.send(note("1")).await, Err(Error::Down));
    let mut next = dialled.recv().await.unwrap();
    assert_eq!(client.send(note("2")).await, Err(Error::Down));
    next.greet().await;
    client.up(SECOND).await.unwrap();
    let _third = client.begin(note("3")).await.unwrap();
    assert_eq!(next.expect("SEND").await.body, "3");
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_says_before_it_hangs_up_is_why_it_did() {
    let (client, _dialled, mut fake) = connected().await;
    let sending = client.begin(note("1")).await.unwrap();
    fake.expect("SEND").await;
    fake.say("ERROR\nmessage:frame too long\n\n\0").await;
    drop(fake);
    assert_eq!(sending.confirmed().await, Err(Error::Lost));
    client
        .link()
        .wait_for(|link| matches!(link, Link::Down(_)))
        .await
        .unwrap();
    assert_eq!(
        down(&client),
        "stomp://one:61613: the broker hung up: frame too long"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_says_before_it_falls_silent_is_told_too() {
    let (client, _dialled, mut fake) = connected().await;
    let mut link = client.link();
    fake.say("ERROR\nmessage:out of order\n\n\0").await;
    link.changed().await.unwrap();
    assert_eq!(
        down(&client),
        "stomp://one:61613: nothing heard for 30.0s, after the complaint: out of order"
    );
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_say_goodbye_is_left_after_a_second() {
    let (client, mut dialled, mut fake) = connected().await;
    let again = client.clone();
    let began = Instant::now();
    client.close().await;
    assert_eq!(began.elapsed(), SECOND);
    fake.expect("DISCONNECT").await;
    assert_eq!(again.send(note("1")).await, Err(Error::Closed));
    assert!(dialled.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn brokers_are_tried_in_order_at_a_pace_that_slows_down() {
    let (client, mut dialled) = client();
    let began = Instant::now();
    for number in 0..40 {
        let fake = dialled.recv().await.unwrap();
        assert_eq!(fake.broker.host, ["one", "two"][number % 2]);
    }
    // Half of it on average; never more than the sum of what doubles twice each up to 30 s.
    let longest: f64 = (0..20)
        .map(|round| 2.0 * (0.1 * 2_f64.powi(round)).min(30.0))
        .sum();
    assert!(
        began.elapsed().as_secs_f64() < longest,
        "{:?}",
        began.elapsed()
    );
    assert!(began.elapsed() > 60 * SECOND, "{:?}", began.elapsed());
    client.close().await;
}
