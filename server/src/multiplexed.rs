//! A connection of HTTP/2 or SPDY: the driver with the exchanges on top.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
#[cfg(feature = "http1")]
use lacewing_conn::Error;
use lacewing_conn::{Side, Version, driver::facade::Driver, proto::Config};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    ConnectionInfo, ConnectionOptions, HttpService, ServeError, connections::Place,
    exchange::Exchanges,
};

/// A connection of HTTP/2 or SPDY, as the future that serves it.
pub(crate) type Multiplexed<T, S> = Driver<T, Exchanges<S>>;

/// The place of a connection of HTTP/2 or SPDY among those of its server.
pub(crate) struct Occupied {
    place: Place,
    leaving: bool,
}

impl Occupied {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            leaving: false,
        }
    }

    /// Polls a connection, which is shut down if it has to make room.
    pub(crate) fn poll<T, S>(
        &mut self,
        connection: &mut Multiplexed<T, S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ServeError>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
        S: HttpService,
    {
        let moved = !connection.is_woken_by(cx.waker());
        if !self.leaving && self.place.poll_leave(cx, moved).is_ready() {
            self.leaving = true;
            connection.shutdown();
        }
        let polled = Pin::new(&mut *connection).poll(cx);
        self.place.note(connection.is_idle());
        polled.map(|result| match (result, self.leaving) {
            (Ok(()), true) => Err(ServeError::MadeRoom {
                max_connections: self.place.max(),
            }),
            (result, _) => result.map_err(ServeError::Connection),
        })
    }
}

/// The engine's configuration for these options.
pub(crate) fn config(version: Version, options: &ConnectionOptions) -> Config {
    let mut config = options.connection.engine(version, Side::Server);
    config.version_source = options.version_source;
    config.extended_connect = options.extended_connect;
    config.persistent_settings = options.persistent_settings.clone();
    config
}

/// Serves a connection from its first byte. `input` was read already.
pub(crate) fn serve<T, S>(
    io: T,
    input: BytesMut,
    version: Version,
    info: ConnectionInfo,
    options: ConnectionOptions,
    service: S,
) -> Multiplexed<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
{
    let config = config(version, &options);
    let budget = options.connection.memory_budget.clone();
    let exchanges = Exchanges::new(version, info, options, service);
    Driver::in_budget(io, config, exchanges, &budget).with_input(input)
}

/// Serves a connection that was one of HTTP/1.1 until now. `prepare` sees the
/// exchanges before the request.
#[cfg(feature = "http1")]
pub(crate) fn upgrade<T, S>(
    io: T,
    info: ConnectionInfo,
    options: ConnectionOptions,
    service: S,
    upgrade: crate::h2c::UpgradeRequest,
    prepare: impl FnOnce(&mut Exchanges<S>),
) -> Result<Multiplexed<T, S>, Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
{
    let input = BytesMut::new();
    let mut connection = serve(io, input, upgrade.version, info, options, service);
    prepare(connection.application());
    connection.upgrade_server(upgrade.head, &upgrade.settings)?;
    Ok(connection)
}
