//! The body of a request: its state, and the pulls that send it.

use std::task::Poll;

use lacewing_conn::{Reason, driver::facade::Context, proto::StreamKey};

use super::{
    Exchanges,
    fields::{Section, check_fields},
};
use crate::{
    ClientError, RequestError,
    body::{BodyFailure, Outgoing, Piece, RequestBody},
    link::Rest,
};

/// The number of empty pieces that a body may return in one turn, before other bodies continue.
const EMPTY_PIECES: usize = 16;

/// A request's body.
pub(super) enum Upload {
    /// Waits for 100 (Continue).
    Held(RequestBody),
    /// Being sent.
    Running(Box<Outgoing>),
    /// Completely sent. Kept in case the server does not process the request.
    Sent(Box<Outgoing>),
}

impl Upload {
    /// Returns the body from its beginning, if it can be sent again.
    pub(super) fn rewind(self) -> Rest {
        let body = match self {
            Self::Held(body) => Some(body),
            Self::Running(body) | Self::Sent(body) => body.rewind().map(RequestBody::Source),
        };
        body.map_or(Rest::Nothing, Rest::Body)
    }
}

impl Exchanges {
    /// Sends the next piece of a request's body.
    pub(super) fn pull_upload(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let Some(exchange) = self.exchanges.get_mut(stream) else {
            return;
        };
        let mut source = match exchange.upload.take() {
            Some(Upload::Running(source)) => source,
            other => {
                exchange.upload = other;
                return;
            }
        };
        for _ in 0..EMPTY_PIECES {
            let piece = conn.poll_source(stream, |cx| source.poll_piece(cx));
            let Poll::Ready(piece) = piece else {
                exchange.upload = Some(Upload::Running(source));
                return;
            };
            let sent = match piece {
                Ok(Piece::Data { data, fin: false }) => {
                    if data.is_empty() {
                        continue;
                    }
                    let sent = conn.stream(stream).send_data(data, false);
                    if sent.is_ok() {
                        conn.stream(stream).offer();
                    }
                    exchange.upload = Some(Upload::Running(source));
                    return;
                }
                Ok(Piece::Data { data, fin: true }) => conn.stream(stream).send_data(data, true),
                Ok(Piece::Trailers(trailers)) => {
                    if let Err(error) = check_fields(&trailers, Section::Trailers) {
                        return self.give_up(conn, stream, error.into(), Reason::Cancel);
                    }
                    conn.stream(stream).send_trailers(trailers)
                }
                Ok(Piece::Unknown) => continue,
                Err(BodyFailure { error, reason }) => {
                    return self.give_up(conn, stream, ClientError::Body(error.into()), reason);
                }
            };
            if let Err(error) = sent {
                let version = conn.version();
                let what = error.to_string();
                let error = RequestError::Unsupported { version, what };
                return self.give_up(conn, stream, error.into(), Reason::Cancel);
            }
            if exchange.reply.is_some() && source.can_rewind() {
                exchange.upload = Some(Upload::Sent(source));
            }
            self.forget_if_done(stream);
            // The data that is cut now may end the stream, after `poll_sources` of this turn. So
            // the next turn must check again.
            if self.link.lifecycle.is_unwanted() {
                conn.notifier().notify();
            }
            return;
        }
        exchange.upload = Some(Upload::Running(source));
        // Offers the body in a later turn, by its waker. After an offer in this turn, the engine would
        // poll the body again before the connection reads anything.
        conn.waker(stream).wake_by_ref();
    }
}
