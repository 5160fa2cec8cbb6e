//! Opening a session: what it is asked to be, and who we are.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use percent_encoding::percent_decode_str;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::channel::Channel;
use crate::postgres::trouble::Trouble;

/// What sessions are asked to be beside what the options say: as the general driver asks it, so that both have the same sessions.
const PARAMETERS: [(&str, &str); 4] =
    [("DateStyle", "ISO, MDY"), ("client_encoding", "UTF8"), ("TimeZone", "UTC"), ("extra_float_digits", "2")];

/// A session that waits for its first request.
///
/// # Errors
/// As [`super::Connection::open`].
pub(super) async fn open(options: &PgConnectOptions) -> Result<Channel, Trouble> {
    refuse_tls(options.get_ssl_mode())?;
    let mut channel = Channel::open(options).await?;
    let given = [
        ("user", Some(options.get_username())),
        ("database", options.get_database()),
        ("application_name", options.get_application_name()),
        ("options", options.get_options()),
    ];
    let parameters = given.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(PARAMETERS);
    send(&mut channel, |request| frontend::startup_message(parameters, request)).await?;
    log_in(&mut channel, options).await?;
    loop {
        if let Message::ReadyForQuery(_) = next(&mut channel).await? {
            return Ok(channel);
        }
    }
}

/// Whoever demands an encrypted connection must not get another one. This client speaks no TLS, and neither does the general driver
/// as this program is built; `prefer` and `allow` leave it to us.
fn refuse_tls(mode: PgSslMode) -> Result<(), Trouble> {
    match mode {
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => Ok(()),
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => {
            Err(Trouble::Tls("the address demands TLS (sslmode)".to_owned()))
        }
    }
}

/// Answers what the server asks until it lets us in.
async fn log_in(channel: &mut Channel, options: &PgConnectOptions) -> Result<(), Trouble> {
    loop {
        match next(channel).await? {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => {
                send(channel, |request| frontend::password_message(&password(options), request)).await?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(options.get_username().as_bytes(), &password(options), body.salt());
                send(channel, |request| frontend::password_message(hash.as_bytes(), request)).await?;
            }
            Message::AuthenticationSasl(body) => prove(channel, &body, password(options)).await?,
            _ => {
                let words = "the server asks for a way to log in that this program does not know: \
                             let pg_hba.conf say scram-sha-256, md5, password or trust for it";
                return Err(Trouble::Protocol(words.to_owned()));
            }
        }
    }
}

/// SCRAM-SHA-256: both sides prove that they know the password, and neither says it (RFC 5802, RFC 7677).
async fn prove(channel: &mut Channel, offered: &AuthenticationSaslBody, password: Vec<u8>) -> Result<(), Trouble> {
    let is_offered = offered.mechanisms().any(|mechanism| Ok(mechanism == SCRAM_SHA_256)).map_err(invalid)?;
    if !is_offered {
        return Err(Trouble::Protocol("the server offers no SCRAM-SHA-256".to_owned()));
    }
    // Channels are bound by TLS only.
    let mut scram = ScramSha256::new(&password, ChannelBinding::unsupported());
    send(channel, |request| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), request)).await?;
    let Message::AuthenticationSaslContinue(challenge) = next(channel).await? else {
        return Err(Trouble::Protocol("the server broke off SCRAM-SHA-256".to_owned()));
    };
    // Thousands of hashes: milliseconds in which a thread of the runtime would serve nobody else.
    let hashing = tokio::task::spawn_blocking(move || {
        let updated = scram.update(challenge.data());
        (scram, updated)
    });
    let (mut scram, updated) = hashing.await.map_err(|error| Trouble::Protocol(error.to_string()))?;
    updated.map_err(invalid)?;
    send(channel, |request| frontend::sasl_response(scram.message(), request)).await?;
    let Message::AuthenticationSaslFinal(proof) = next(channel).await? else {
        return Err(Trouble::Protocol("the server did not prove that it knows the password".to_owned()));
    };
    scram.finish(proof.data()).map_err(invalid)
}

fn invalid(error: std::io::Error) -> Trouble {
    Trouble::Protocol(format!("the server's side of the login is not valid: {error}"))
}

/// The password of the URL, of PGPASSWORD or of the password file; empty where there is none, which the server then refuses.
fn password(options: &PgConnectOptions) -> Vec<u8> {
    // A URL is the only way by which the driver gives its password back. Not every user and host makes one, so neither is in it.
    let url = options.clone().username("user").host("host").to_url_lossy();
    url.password().map(|encoded| percent_decode_str(encoded).collect()).unwrap_or_default()
}

async fn send(channel: &mut Channel, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<(), Trouble> {
    let mut request = BytesMut::new();
    write(&mut request).map_err(|error| Trouble::Unsendable(error.to_string()))?;
    channel.send(&request).await
}

/// The next message of the greeting; an error of the server is the error.
async fn next(channel: &mut Channel) -> Result<Message, Trouble> {
    loop {
        while let Some(message) = channel.next()? {
            match message.parse()? {
                Message::ErrorResponse(_) => return Err(Trouble::Refused(message.refusal()?)),
                // The key would be for cancelling statements, which we never do: we close.
                Message::BackendKeyData(_) => {}
                _ if message.is_aside() => {}
                answer => return Ok(answer),
            }
        }
        channel.receive().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> PgConnectOptions {
        url.parse().expect("a URL")
    }

    #[test]
    fn the_password_is_the_one_that_the_options_hold() {
        for (url, expected) in [
            ("postgres://ann:p%40s%2Fs%3A%25@db/x", "p@s/s:%"),
            ("postgres://a%2Fb:s3cret@db/x", "s3cret"),
            ("postgres:///x?host=/var/run/postgresql&password=s3cret", "s3cret"),
            ("postgres://ann@db/x?password=%C3%A4", "ä"),
        ] {
            assert_eq!(password(&options(url)), expected.as_bytes(), "{url}");
        }
    }

    #[test]
    fn whoever_demands_tls_gets_no_other_connection() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let mode = options(&format!("postgres://ann@db/x?sslmode={mode}")).get_ssl_mode();
            assert!(matches!(refuse_tls(mode), Err(Trouble::Tls(_))));
        }
        for mode in ["disable", "allow", "prefer"] {
            assert!(refuse_tls(options(&format!("postgres://ann@db/x?sslmode={mode}")).get_ssl_mode()).is_ok());
        }
    }
}
