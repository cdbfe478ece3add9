//! SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY, HEADERS and CREDENTIAL
//! (sections 2.6.1 to 2.6.3, 2.6.5 to 2.6.7, 2.6.9).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let mut rows = syn(dialect);
    rows.extend(resets(dialect));
    rows.extend(pings(dialect));
    rows.extend(goaways(dialect));
    rows.extend(header_frames(dialect));
    rows.extend(credentials(dialect));
    rows
}

fn syn(dialect: &Dialect) -> Vec<Row> {
    let reply = dialect.reply("200");
    vec![
        should(
            "2.6.1",
            "SYN_STREAM too short for its fixed part is a session error",
            [
                send(control(Kind::SYN_STREAM, b"\0\0\0\x01\0\0\0\0\0")),
                session_error(),
            ],
        ),
        should(
            "2.6.1",
            "SYN_STREAM without a header block does no harm to others",
            [
                send_all([
                    control(Kind::SYN_STREAM, b"\0\0\0\x01\0\0\0\0\0\0").fin(),
                    syn_stream(3, &dialect.get()).fin(),
                ]),
                response(3),
            ],
        ),
        should(
            "2.6.2",
            "SYN_REPLY on a stream that was never opened is refused",
            [send(syn_reply(2, &reply)), any_error(2)],
        ),
        should(
            "2.6.2",
            "SYN_REPLY on a stream of the client's own is refused",
            [
                send_all([syn_stream(1, &dialect.post()), syn_reply(1, &reply)]),
                any_error(1),
            ],
        )
        .needs(Need::Upload),
        should(
            "2.6.2",
            "SYN_REPLY too short for its stream is a session error",
            [send(control(Kind::SYN_REPLY, b"\0\0\0")), session_error()],
        ),
    ]
}

fn resets(dialect: &Dialect) -> Vec<Row> {
    let post = syn_stream(1, &dialect.post());
    vec![
        should(
            "2.6.3",
            "RST_STREAM shorter than 8 bytes is a session error",
            [
                send_all([post.clone(), control(Kind::RST_STREAM, b"\0\0\0\x01")]),
                session_error(),
            ],
        ),
        should(
            "2.6.3",
            "RST_STREAM longer than 8 bytes is a session error",
            [
                send_all([
                    post.clone(),
                    control(Kind::RST_STREAM, b"\0\0\0\x01\0\0\0\x05\0\0\0\0"),
                ]),
                session_error(),
            ],
        ),
        must(
            "2.6.3",
            "RST_STREAM with the status 0, which is none, is not answered by RST_STREAM",
            [
                send_all([post.clone(), rst_stream(1, ErrorCode(0)), ping(1)]),
                // A session error is right as well.
                any([Expect::PingAnswer(1), Expect::SESSION_ERROR]),
                Step::Holds(Expect::NoReset(1.into())),
            ],
        )
        .needs(Need::Upload),
        should(
            "2.6.3",
            "RST_STREAM with an unknown status ends the stream and nothing else",
            [
                send_all([post, rst_stream(1, ErrorCode(99))]),
                settle(),
                not_reset(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "2.6.3",
            "nothing is sent on a stream after its RST_STREAM",
            [
                send_all([
                    settings(&[(0, WINDOW, 0)]),
                    syn_stream(1, &dialect.get()).fin(),
                ]),
                Step::Expect(Expect::Head(1.into(), 200..=599)),
                send(rst_stream(1, CANCEL)),
                alive(),
                send(settings(&[(0, WINDOW, 65_536)])),
                settle(),
                at_most(1, 0),
            ],
        )
        .since_3()
        .needs(Need::Content(1)),
    ]
}

fn pings(dialect: &Dialect) -> Vec<Row> {
    let back = |id| Step::Expect(Expect::PingAnswer(id));
    vec![
        should("2.6.5", "PING is answered", [send(ping(1)), back(1)]),
        should(
            "2.6.5",
            "each of several PINGs is answered",
            [
                send_all([1, 3, 5, 7, 9].map(ping)),
                back(1),
                back(3),
                back(5),
                back(7),
                back(9),
            ],
        ),
        should(
            "2.6.5",
            "PING with an id above 2^31 is answered",
            [send(ping(0xffff_ffff)), back(0xffff_ffff)],
        ),
        must(
            "2.6.5",
            "PING with an even id, which the server did not send, is ignored",
            [
                send(ping(2)),
                settle(),
                Step::Holds(Expect::NoPingAnswer(2)),
            ],
        ),
        should(
            "2.6.5",
            "PING shorter than 4 bytes is a session error",
            [send(control(Kind::PING, b"\0\0\x01")), session_error()],
        ),
        should(
            "2.6.5",
            "PING longer than 4 bytes is a session error",
            [
                send(control(Kind::PING, b"\0\0\0\x01\0\0\0\x01")),
                session_error(),
            ],
        ),
        should(
            "2.6.5",
            "PING is answered while a response waits for its window",
            [
                send_all([
                    settings(&[(0, WINDOW, 0)]),
                    syn_stream(1, &dialect.get_large()).fin(),
                ]),
                Step::Expect(Expect::Head(1.into(), 200..=599)),
                send(ping(11)),
                back(11),
            ],
        )
        .since_3()
        .needs(Need::LargeContent(1)),
    ]
}

fn goaways(dialect: &Dialect) -> Vec<Row> {
    vec![
        should(
            "2.6.6",
            "streams from before GOAWAY are answered",
            [
                send_all([
                    syn_stream(1, &dialect.post()),
                    go_away(0, OK),
                    data(1, b"body").fin(),
                ]),
                response(1),
            ],
        ),
        should(
            "2.6.6",
            "GOAWAY of another length is a session error",
            [send(control(Kind::GOAWAY, b"\0\0\0")), session_error()],
        ),
        should(
            "2.6.6",
            "GOAWAY without a status, as SPDY/2 has it, is a session error",
            [send(control(Kind::GOAWAY, b"\0\0\0\0")), session_error()],
        )
        .since_3(),
        should(
            "2.6.6",
            "GOAWAY with an unknown status is accepted",
            [
                send_all([
                    syn_stream(1, &dialect.get()).fin(),
                    go_away(0, GoAwayStatus(99)),
                ]),
                response(1),
            ],
        )
        .since_3(),
    ]
}

fn header_frames(dialect: &Dialect) -> Vec<Row> {
    let more = Block::new([("x-more", "1")]);
    vec![
        should(
            "2.6.7",
            "HEADERS on a stream that was never opened are refused",
            [send(headers(7, &more)), any_error(7)],
        ),
        should(
            "2.6.7",
            "HEADERS on stream 0 are refused",
            [send(headers(0, &more)), any_error(0)],
        ),
        should(
            "2.6.7",
            "HEADERS too short for their stream are a session error",
            [send(control(Kind::HEADERS, b"\0\0\0")), session_error()],
        ),
        must(
            "2.6.7",
            "HEADERS with no pairs are valid",
            [
                send_all([
                    syn_stream(1, &dialect.post()),
                    headers(1, &Block::new([])),
                    data(1, b"body").fin(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
    ]
}

fn credentials(dialect: &Dialect) -> Vec<Row> {
    let get = syn_stream(1, &dialect.get()).fin();
    let credential = control(
        Kind::CREDENTIAL,
        b"\0\x01\0\0\0\x04abcd\0\0\0\x03one\0\0\0\x03two",
    );
    vec![
        // The proof is invalid: a server that verifies it ends the session.
        should(
            "2.6.9",
            "CREDENTIAL with a wrong proof ends the session, or is ignored",
            [
                send_all([credential.clone(), get.clone()]),
                any([Expect::Response(1.into(), 200..=599), Expect::SESSION_ERROR]),
            ],
        )
        .in_3(),
        should(
            "2.6.9",
            "CREDENTIAL whose proof reaches past its end is a session error",
            [
                send(control(Kind::CREDENTIAL, b"\0\x01\xff\xff\xff\xffabcd")),
                session_error(),
            ],
        )
        .in_3(),
        should(
            "2.6.9",
            "CREDENTIAL, which SPDY/3.1 removed, is ignored",
            [
                send_all([credential.clone(), get.clone()]),
                response(1),
                alive(),
            ],
        )
        .in_31(),
        must(
            "2.6.9",
            "CREDENTIAL, which SPDY/3 introduced, is an unknown type",
            [send_all([credential, get]), response(1), alive()],
        )
        .in_2(),
    ]
}
