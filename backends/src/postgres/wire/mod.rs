//! Our own client for what is measured: one connection, on which one statement is on its way at a time.
//!
//! The general driver serves every kind of program: it boxes a stream per query, searches for the statement by its text, tells
//! the server to close a portal, and asks the socket for an answer before there can be one. Beside `pgbench` that cost up to a
//! sixth of the rate and a third of the CPU (`make bench ONLY=pgbench`). Here a statement is one write (Bind, Execute, Sync),
//! one wait, and one read, and the rows are read where they were received.
//!
//! Source: PostgreSQL manual, "Frontend/Backend Protocol" (message flow, message formats). The messages' bytes are those of the
//! crate `postgres-protocol`.
//!
//! * `channel`: the socket, and what came over it, message by message;
//! * `startup`: opening a session: parameters, passwords;
//! * `message`: reading a message.

mod channel;
mod message;
mod startup;

use std::collections::HashMap;

use bytes::BytesMut;
use postgres_protocol::message::backend as tags;
use postgres_protocol::message::frontend::{self, BindError};
use sqlx::SqlStr;
use sqlx::postgres::PgConnectOptions;

use self::channel::Channel;
pub(super) use self::message::DataRow;
use super::arguments::Arguments;
use super::trouble::{Refusal, Trouble};

/// The binary format, of all parameters and all columns.
const BINARY: [i16; 1] = [1];
/// The portal that needs no name, and no message to close it.
const UNNAMED: &str = "";
/// As many rows as there are.
const ALL_ROWS: i32 = 0;
/// A request's buffer that grew beyond this is given back, so that one large batch does not keep its memory for good.
const KEPT_BYTES: usize = 1 << 20;

/// A session on a server.
///
/// Whoever drops a call half way must drop the connection, too: the rest of the answer would be taken for the next one.
pub(super) struct Connection {
    channel: Channel,
    /// What this session has prepared, by where its text stands.
    prepared: HashMap<Place, Prepared>,
    /// How many statements have got a name.
    named: u32,
    /// What is sent next, kept for its room.
    request: BytesMut,
}

/// Where the text of a statement stands: its address and its length. A statement is shared and never copied, so this tells it from
/// all others without a look at its text.
type Place = (usize, usize);

/// A statement that the server keeps.
struct Prepared {
    name: String,
    /// Keeps the text alive, so that no other one can come to stand at its place.
    _text: SqlStr,
}

impl Connection {
    /// Connects and logs in, with what `options` say.
    ///
    /// # Errors
    /// [`Trouble::Tls`] when the options demand encryption, which this client does not speak; [`Trouble::Broken`] when there is no
    /// way to the server; [`Trouble::Refused`] when it does not let us in.
    pub(super) async fn open(options: &PgConnectOptions) -> Result<Self, Trouble> {
        let channel = startup::open(options).await?;
        Ok(Connection { channel, prepared: HashMap::new(), named: 0, request: BytesMut::new() })
    }

    /// Runs `statement`, which is prepared when it comes for the first time, in the same round trip. Hands every row to `each`, and
    /// returns how many rows were returned or changed.
    ///
    /// # Errors
    /// [`Trouble::Unsendable`] before anything is sent; [`Trouble::Refused`] after the whole answer was read; else the connection
    /// is of no use any more.
    pub(super) async fn run(
        &mut self,
        statement: &SqlStr,
        arguments: impl Arguments,
        each: impl FnMut(DataRow<'_>) -> Result<(), Trouble> + Send,
    ) -> Result<u64, Trouble> {
        let new = match self.write_request(statement, arguments) {
            Ok(new) => new,
            Err(error) => {
                self.request.clear();
                return Err(error);
            }
        };
        self.exchange(new, each).await
    }

    /// Runs unprepared commands, whose rows nobody wants.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub(super) async fn command(&mut self, text: &str) -> Result<(), Trouble> {
        frontend::query(text, &mut self.request).map_err(|error| Trouble::Unsendable(error.to_string()))?;
        self.exchange(None, |_| Ok(())).await.map(|_| ())
    }

    /// Writes the messages that run `statement`. Returns it where they prepare it, too.
    fn write_request(
        &mut self,
        statement: &SqlStr,
        arguments: impl Arguments,
    ) -> Result<Option<(Place, Prepared)>, Trouble> {
        let place = place(statement);
        match self.prepared.get(&place) {
            Some(known) => write_run(&known.name, arguments, &mut self.request).map(|()| None),
            None => {
                self.named += 1;
                let new = Prepared { name: format!("q{}", self.named), _text: statement.clone() };
                write_parse(&new.name, statement, &arguments, &mut self.request)?;
                write_run(&new.name, arguments, &mut self.request)?;
                Ok(Some((place, new)))
            }
        }
    }

    /// Sends the request and reads its answer to the end.
    async fn exchange(
        &mut self,
        mut new: Option<(Place, Prepared)>,
        mut each: impl FnMut(DataRow<'_>) -> Result<(), Trouble> + Send,
    ) -> Result<u64, Trouble> {
        self.channel.send(&self.request).await?;
        if self.request.capacity() > KEPT_BYTES {
            self.request = BytesMut::new();
        }
        self.request.clear();
        let (mut affected, mut refused) = (0, None::<Refusal>);
        loop {
            while let Some(message) = self.channel.next()? {
                match message.tag {
                    tags::DATA_ROW_TAG => each(DataRow::new(message.body))?,
                    tags::COMMAND_COMPLETE_TAG => affected += message.rows()?,
                    tags::PARSE_COMPLETE_TAG => self.prepared.extend(new.take()),
                    tags::ERROR_RESPONSE_TAG => {
                        let refusal = message.refusal()?;
                        if refusal.ends_session {
                            return Err(Trouble::Refused(refusal));
                        }
                        refused = Some(refusal);
                    }
                    tags::READY_FOR_QUERY_TAG => {
                        return refused.map_or(Ok(affected), |refusal| Err(Trouble::Refused(refusal)));
                    }
                    tags::BIND_COMPLETE_TAG | tags::ROW_DESCRIPTION_TAG | tags::EMPTY_QUERY_RESPONSE_TAG => {}
                    _ if message.is_aside() => {}
                    _ => return Err(message.unexpected("the answer to a statement")),
                }
            }
            if let Err(error) = self.channel.receive().await {
                // What the server said before it left is worth more than that it left.
                return Err(match refused {
                    Some(refusal) => Trouble::Refused(Refusal { ends_session: true, ..refusal }),
                    None => error,
                });
            }
        }
    }
}

fn place(statement: &SqlStr) -> Place {
    let text = statement.as_str();
    (text.as_ptr().addr(), text.len())
}

fn write_parse<A: Arguments>(
    name: &str,
    statement: &SqlStr,
    _arguments: &A,
    request: &mut BytesMut,
) -> Result<(), Trouble> {
    frontend::parse(name, statement.as_str(), A::TYPES.iter().copied(), request)
        .map_err(|error| Trouble::Unsendable(error.to_string()))
}

fn write_run<A: Arguments>(name: &str, arguments: A, request: &mut BytesMut) -> Result<(), Trouble> {
    let unsendable = |error: &dyn std::fmt::Display| Trouble::Unsendable(error.to_string());
    let written = frontend::bind(
        UNNAMED,
        name,
        BINARY,
        0..A::TYPES.len(),
        |index, request| arguments.write(index, request),
        BINARY,
        request,
    );
    match written {
        Ok(()) => {}
        Err(BindError::Conversion(error)) => return Err(unsendable(&error)),
        Err(BindError::Serialization(error)) => return Err(unsendable(&error)),
    }
    frontend::execute(UNNAMED, ALL_ROWS, request).map_err(|error| unsendable(&error))?;
    frontend::sync(request);
    Ok(())
}
