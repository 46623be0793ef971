//! What counts as a header, what does not, and how soon that is known.

use proptest::prelude::*;

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn parsed(bytes: &[u8]) -> (usize, Announced) {
    parse(bytes).unwrap().unwrap()
}

#[test]
fn a_line_announces_its_addresses_and_leaves_the_rest() {
    let (length, announced) = parsed(b"PROXY TCP4 1.2.3.4 5.6.7.8 1024 443\r\nGET /");
    assert_eq!(length, 37);
    let addresses = Some((address("1.2.3.4:1024"), address("5.6.7.8:443")));
    assert_eq!(announced.addresses, addresses);
    let (_, announced) = parsed(b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n");
    let addresses = Some((address("[2001:db8::1]:0"), address("[::1]:65535")));
    assert_eq!(announced.addresses, addresses);
    for unknown in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ::1 1.2.3.4 x y\r\n"] {
        assert_eq!(
            parsed(unknown.as_bytes()),
            (unknown.len(), Announced::default())
        );
    }
}

#[test]
fn a_line_that_is_not_as_specified_is_refused() {
    for line in [
        "PROXY TCP4 1.2.3.4 5.6.7.8 1024\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1024 443 \r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1024 443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 01024 443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 +1024 443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 65536 443\r\n",
        "PROXY TCP4 ::1 ::1 1024 443\r\n",
        "PROXY TCP6 1.2.3.4 5.6.7.8 1024 443\r\n",
        "PROXY TCP6 fe80::1%1 ::1 1024 443\r\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 1024 443\r\n",
        "PROXY \r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(HeaderError::Text), "{line:?}");
    }
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    assert_eq!(parse(&endless), Err(HeaderError::Text));
}

#[test]
fn what_begins_like_no_header_is_refused_at_its_first_byte() {
    assert_eq!(parse(b"G"), Err(HeaderError::Missing));
    assert_eq!(parse(b"PROXX"), Err(HeaderError::Missing));
    assert_eq!(parse(b"\r\n\r\n\0\r\nQUIX"), Err(HeaderError::Missing));
    assert_eq!(parse(b""), Ok(None));
}

/// A header of version 2.
fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    [binary::SIGNATURE, &[command, family], &length, body].concat()
}

const V4: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 4, 0, 1, 187];

#[test]
fn a_binary_header_announces_addresses_and_extensions() {
    let body = [V4.as_slice(), &[0x02, 0, 3], b"a.b", &[0x04, 0, 0]].concat();
    let (length, announced) = parsed(&binary(0x21, 0x11, &body));
    assert_eq!(length, 16 + body.len());
    let addresses = Some((address("1.2.3.4:1024"), address("5.6.7.8:443")));
    assert_eq!(announced.addresses, addresses);
    assert_eq!(announced.extensions, [(2, b"a.b".to_vec()), (4, vec![])]);
}

#[test]
fn who_speaks_for_itself_or_does_not_know_announces_nobody() {
    for header in [
        binary(0x20, 0x11, &V4),
        binary(0x20, 0x00, b"anything"),
        binary(0x21, 0x00, b"anything"),
        binary(0x21, 0x31, &[0; 216]),
    ] {
        assert_eq!(parsed(&header), (header.len(), Announced::default()));
    }
}

#[test]
fn a_binary_header_that_is_not_as_specified_is_refused() {
    for (header, error) in [
        (binary(0x31, 0x11, &V4), HeaderError::Binary),
        (binary(0x22, 0x11, &V4), HeaderError::Binary),
        (binary(0x21, 0x12, &V4), HeaderError::Family),
        (binary(0x21, 0x77, &V4), HeaderError::Family),
        (binary(0x21, 0x11, &V4[..11]), HeaderError::Binary),
        (binary(0x21, 0x21, &V4), HeaderError::Binary),
        (binary(0x21, 0x31, &V4), HeaderError::Binary),
        (
            binary(0x21, 0x11, &[V4.as_slice(), &[2, 0, 9, 1]].concat()),
            HeaderError::Binary,
        ),
        (
            binary(0x21, 0x11, &[V4.as_slice(), &[2, 0]].concat()),
            HeaderError::Binary,
        ),
        (binary(0x21, 0x11, &[0; 5000]), HeaderError::TooLong),
    ] {
        assert_eq!(parse(&header), Err(error), "{header:?}");
    }
}

#[test]
fn a_checksum_is_verified_where_there_is_one() {
    let mut header = binary(
        0x21,
        0x11,
        &[V4.as_slice(), &[3, 0, 4, 0, 0, 0, 0]].concat(),
    );
    let sum = crc32c::crc32c(&header).to_be_bytes();
    let place = header.len() - 4;
    header[place..].copy_from_slice(&sum);
    assert!(parsed(&header).1.addresses.is_some());
    header[20] ^= 1;
    assert_eq!(parse(&header), Err(HeaderError::Checksum));
}

#[test]
fn what_differs_in_family_is_told_in_the_wider_one() {
    let header = render(
        Version::V1,
        Peer::Ip(address("1.2.3.4:5")),
        &Endpoint::Ip(address("[2001:db8::1]:6")),
        &[],
    );
    assert_eq!(header, b"PROXY TCP6 ::ffff:1.2.3.4 2001:db8::1 5 6\r\n");
    let header = render(
        Version::V1,
        Peer::Ip(address("[::ffff:1.2.3.4]:5")),
        &Endpoint::Ip(address("1.2.3.5:6")),
        &[],
    );
    assert_eq!(header, b"PROXY TCP4 1.2.3.4 1.2.3.5 5 6\r\n");
}

#[test]
fn a_client_on_a_unix_socket_is_told_as_one() {
    let called: Endpoint = "unix:/run/web.sock".parse().unwrap();
    let header = render(Version::V1, Peer::Unix, &called, &[]);
    assert_eq!(header, b"PROXY UNKNOWN\r\n");
    let header = render(Version::V2, Peer::Unix, &called, &[(4, vec![7])]);
    let mut paths = [0; 216];
    paths[108..][..13].copy_from_slice(b"/run/web.sock");
    assert_eq!(
        header,
        binary(0x21, 0x31, &[&paths[..], &[4, 0, 1, 7]].concat())
    );
    assert_eq!(parsed(&header).1.extensions, [(4, vec![7])]);
}

#[test]
fn a_line_that_does_not_end_as_it_should_is_refused_at_once() {
    for line in [
        "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\n",
        "PROXY UNKNOWN\n",
        "PROXY \n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\rX",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(HeaderError::Text), "{line:?}");
    }
    let waits = b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r";
    assert_eq!(parse(waits), Ok(None));
}

#[test]
fn a_client_that_is_announced_without_an_address_is_believed() {
    let (_, announced) = parsed(b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n");
    let nowhere = address("0.0.0.0:0");
    assert_eq!(announced.addresses, Some((nowhere, nowhere)));
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

proptest! {
    #[test]
    fn what_is_rendered_is_read_and_not_before_it_is_complete(
        (client, called) in (any_address(), any_address()),
        version in prop::sample::select(&[Version::V1, Version::V2][..]),
        kind in 4..=255u8,
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let extensions = [(kind, value)];
        let header = render(version, Peer::Ip(client), &Endpoint::Ip(called), &extensions);
        for cut in 0..header.len() {
            prop_assert_eq!(parse(&header[..cut]), Ok(None));
        }
        let whole = [header.as_slice(), b"data"].concat();
        let (length, announced) = parse(&whole).unwrap().unwrap();
        prop_assert_eq!(length, header.len());
        prop_assert_eq!(announced.addresses, Some(alike(client, called)));
        if version == Version::V2 {
            prop_assert_eq!(announced.extensions, extensions);
        }
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), flip in any::<prop::sample::Index>()) {
        let _ = parse(&bytes);
        for (command, family) in [(0x21, 0x11), (0x21, 0x21), (0x20, 0)] {
            let mut header = binary(command, family, &bytes);
            let _ = parse(&header);
            let place = flip.index(header.len());
            header[place] ^= 0x41;
            if let Ok(Some((length, _))) = parse(&header) {
                prop_assert!(length <= header.len());
            }
        }
    }
}
