//! The observer itself: it answers what the run asks, one thing after the other, and leaves nothing behind.

use std::io::{BufRead, Write};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use qbench_backends::{Admin, BackendConfig, BackendOptions, ServerUrl, registry};
use qbench_ground::clock::{PhaseCell, RunClock, RunPhase, monotonic_ns};
use qbench_schema::load::{Tuning, Wake};
use tokio::sync::{mpsc, watch};

use super::protocol::{Ask, BackendAsked, Clocks, Hello, Say, ServerSaid, StartAsked, WatchAsked};
use super::{ALIVE_INTERVAL, SILENCE_LIMIT};
use crate::engine::Engine;
use crate::helper::HelperProgram;
use crate::monitor::{MonitorConfig, Monitors, Roles, RowsOf, RowsTo, ServerTarget};
use crate::services::{GivenServer, Server, StartOptions, drop_page_cache};

/// Longest wait for the last words to be carried away.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(2);

/// How often it is looked whether the run has fallen silent.
const SILENCE_CHECK: Duration = Duration::from_secs(1);

/// What an observer needs of the program around it.
pub struct Post {
    /// Every product that it may start or watch.
    pub engines: &'static [&'static dyn Engine],
    /// Who it is.
    pub hello: Hello,
    /// The meter of hiccups.
    pub meter: Option<HelperProgram>,
}

/// Answers what is asked on `input` until that ends, nothing comes any more, the run says so, or `stop` resolves. Then nothing of what it
/// started runs any more.
///
/// # Errors
/// A sentence, when a server that it started could not be removed.
pub async fn serve(
    post: Post,
    input: impl BufRead + Send + 'static,
    output: impl Write + Send + 'static,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let (outlet, written) = Outlet::start(output);
    outlet.say(&Say::Hello(Box::new(post.hello.clone())));
    let (mut asks, ear) = listen(input);
    let alive = tokio::spawn({
        let outlet = outlet.clone();
        async move {
            loop {
                tokio::time::sleep(ALIVE_INTERVAL).await;
                outlet.say(&Say::Alive);
            }
        }
    });
    let mut over = std::pin::pin!(async {
        tokio::select! {
            () = stop => {}
            () = ear.gone() => {}
        }
    });
    let mut observer = Observer { post, outlet: outlet.clone(), server: None, monitors: None, notes: Vec::new() };
    loop {
        // What is under way is given up when nobody waits for it any more.
        let is_over = tokio::select! {
            biased;
            () = &mut over => true,
            stopped = async {
                match asks.recv().await {
                    Some(ask) => observer.answer(ask).await,
                    None => true,
                }
            } => stopped,
        };
        if is_over {
            break;
        }
    }
    let trouble = observer.end().await;
    alive.abort();
    // Its end of the outlet is gone then, too.
    let _ = alive.await;
    outlet.say(&Say::Stopped { trouble: trouble.clone() });
    drop((observer, outlet));
    // A channel that is stuck has nobody at its other end.
    let _ = tokio::task::spawn_blocking(move || written.recv_timeout(LAST_WORDS_LIMIT)).await;
    trouble.map_or(Ok(()), Err)
}

/// Says what is to be said from a thread of its own: a channel that is stuck must not keep anybody from ending.
#[derive(Clone)]
struct Outlet(Sender<String>);

impl Outlet {
    /// The second part hears of the end of all writing.
    fn start(mut output: impl Write + Send + 'static) -> (Self, std::sync::mpsc::Receiver<()>) {
        let (say, said) = channel::<String>();
        let (end, ended) = channel();
        std::thread::spawn(move || {
            for mut line in said {
                line.push('\n');
                if output.write_all(line.as_bytes()).and_then(|()| output.flush()).is_err() {
                    break;
                }
            }
            let _ = end.send(());
        });
        (Outlet(say), ended)
    }

    fn say(&self, what: &Say) {
        // Every value of the type can be written, and where nobody hears there is nothing to be done.
        if let Ok(line) = serde_json::to_string(what) {
            let _ = self.0.send(line);
        }
    }
}

/// Whether the run still speaks.
struct Ear {
    heard: Arc<Mutex<Instant>>,
    ended: watch::Receiver<bool>,
}

impl Ear {
    /// Resolves when its words have ended, or none have come for long.
    async fn gone(mut self) {
        loop {
            let has_ended = tokio::time::timeout(SILENCE_CHECK, self.ended.wait_for(|ended| *ended)).await.is_ok();
            let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            if has_ended || heard.elapsed() > SILENCE_LIMIT {
                return;
            }
        }
    }
}

/// Reads what is asked, on a thread of its own. What is nothing that can be asked ends it.
fn listen(input: impl BufRead + Send + 'static) -> (mpsc::UnboundedReceiver<Ask>, Ear) {
    let (ask, asks) = mpsc::unbounded_channel();
    let (end, ended) = watch::channel(false);
    let heard = Arc::new(Mutex::new(Instant::now()));
    let ear = Ear { heard: Arc::clone(&heard), ended };
    std::thread::spawn(move || {
        for line in input.lines().map_while(Result::ok) {
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            let Ok(asked) = serde_json::from_str(&line) else { break };
            if ask.send(asked).is_err() {
                break;
            }
        }
        end.send_replace(true);
    });
    (asks, ear)
}

/// What it has under way.
struct Observer {
    post: Post,
    outlet: Outlet,
    server: Option<(&'static dyn Engine, Box<dyn Server>)>,
    monitors: Option<(Monitors, PhaseCell)>,
    notes: Vec<String>,
}

impl Observer {
    /// Does what is asked and says what came of it; true when that was to end.
    async fn answer(&mut self, ask: Ask) -> bool {
        let said = match ask {
            Ask::Alive => return false,
            Ask::Stop => return true,
            Ask::Clock => Ok(Say::Clock(Clocks::now())),
            Ask::Start(asked) => self.start(asked).await,
            Ask::Adopt { engine, url } => self.adopt(&engine, ServerUrl::new(url)).await,
            Ask::Cool => Ok(Say::Cooled {
                sentence: match drop_page_cache() {
                    Ok(()) => "cold start: the page cache of the server's host was dropped".to_owned(),
                    Err(reason) => format!("cold start: the page cache of the server's host was not dropped: {reason}"),
                },
            }),
            Ask::Watch(asked) => self.watch(*asked).await,
            Ask::Phase { name } => {
                if let (Some((_, cell)), Some(phase)) = (&self.monitors, phase(&name)) {
                    cell.enter(phase);
                }
                return false;
            }
            Ask::MeasuredStart => {
                self.monitors.iter().for_each(|(monitors, _)| monitors.measured_start());
                return false;
            }
            Ask::MeasuredEnd => {
                self.monitors.iter().for_each(|(monitors, _)| monitors.measured_end());
                return false;
            }
            Ask::Unwatch => self.unwatch().await,
        };
        self.outlet.say(&said.unwrap_or_else(|reason| Say::Refused { reason }));
        false
    }

    fn engine(&self, id: &str) -> Result<&'static dyn Engine, String> {
        let found = self.post.engines.iter().copied().find(|engine| engine.kind().id == id);
        found.ok_or_else(|| format!("the observer knows no server product {id}"))
    }

    async fn start(&mut self, asked: StartAsked) -> Result<Say, String> {
        let engine = self.engine(&asked.engine)?;
        let tuning = Tuning::ALL.into_iter().find(|tuning| tuning.name() == asked.tuning);
        let options = StartOptions {
            connections: asked.connections,
            tuning: tuning.ok_or_else(|| format!("the observer knows no tuning {}", asked.tuning))?,
            listen: asked.listen,
            ..StartOptions::new(asked.durability)
        };
        let started = engine.start(options).await.map_err(|error| error.to_string())?;
        let server = started.ok_or_else(|| format!("{} has no server to start", engine.title()))?;
        Ok(self.has(engine, server))
    }

    async fn adopt(&mut self, engine: &str, url: ServerUrl) -> Result<Say, String> {
        let engine = self.engine(engine)?;
        let server = GivenServer::new(url.clone(), engine.process_of(&url)).await;
        Ok(self.has(engine, Box::new(server)))
    }

    fn has(&mut self, engine: &'static dyn Engine, server: Box<dyn Server>) -> Say {
        let own = server.private();
        let said = ServerSaid {
            url: server.url().expose().to_owned(),
            version: own.as_ref().map(|own| own.version.clone()),
            settings: own.map(|own| own.settings).unwrap_or_default(),
            unaccounted: server.pid().err().map(str::to_owned),
        };
        self.server = Some((engine, server));
        Say::Server(Box::new(said))
    }

    async fn watch(&mut self, asked: WatchAsked) -> Result<Say, String> {
        let (engine, server) = self.server.as_ref().ok_or("the observer has no server to watch")?;
        let url = server.url().clone();
        let cell = PhaseCell::default();
        cell.enter(phase(&asked.phase).unwrap_or(RunPhase::Setup));
        let admin = match admin(&asked.backend, &url).await {
            Ok(admin) => Some(admin),
            Err(reason) => {
                self.notes.push(format!("the backlog is not among the server's statistics: {reason}"));
                None
            }
        };
        let outlet = self.outlet.clone();
        let config = MonitorConfig {
            clock: RunClock::begun_at(asked.began_ns),
            phase: cell.clone(),
            rows: RowsTo::Told(Arc::new(move |of: RowsOf, text: &str| {
                outlet.say(&Say::Rows { of, text: text.to_owned() })
            })),
            roles: Roles { server: server.pid().ok().into_iter().collect(), ..Roles::default() },
            target: Some(ServerTarget { engine: *engine, url, objects: asked.objects, serves_background: false }),
            admin,
            interval: Duration::from_micros(asked.interval_us),
            meter: self.post.meter.clone(),
        };
        self.monitors = Some((Monitors::start(config), cell));
        Ok(Say::Watching)
    }

    async fn unwatch(&mut self) -> Result<Say, String> {
        let (monitors, _) = self.monitors.take().ok_or("the observer watches nothing")?;
        let mut summary = finished(monitors, Monitors::finish).await?;
        summary.notes.append(&mut self.notes);
        let died = self.server.as_ref().and_then(|(_, server)| server.died()).map(|error| error.to_string());
        Ok(Say::Watched { summary: Box::new(summary), died })
    }

    /// Ends everything; what made trouble.
    async fn end(&mut self) -> Option<String> {
        if let Some((monitors, _)) = self.monitors.take() {
            // What they saw is asked for by nobody.
            let _ = finished(monitors, drop).await;
        }
        let (_, server) = self.server.take()?;
        server.stop().await.err().map(|error| error.to_string())
    }
}

/// What comes of the monitors, which block while they end, beside the runtime.
async fn finished<T: Send + 'static>(
    monitors: Monitors,
    end: impl FnOnce(Monitors) -> T + Send + 'static,
) -> Result<T, String> {
    let ended = tokio::task::spawn_blocking(move || end(monitors)).await;
    ended.map_err(|_| "the monitors panicked; the message stands in the observer's log".to_owned())
}

fn phase(name: &str) -> Option<RunPhase> {
    RunPhase::ALL.into_iter().find(|phase| phase.name() == name)
}

/// The control side of a backend at `url`.
async fn admin(asked: &BackendAsked, url: &ServerUrl) -> Result<Box<dyn Admin>, String> {
    let entry = registry::resolve(&asked.id).map_err(|error| error.to_string())?;
    let entry = entry.ok_or_else(|| format!("the observer knows no backend {}", asked.id))?;
    let wake = Wake::ALL.into_iter().find(|wake| wake.name() == asked.wake);
    let config = BackendConfig {
        durability: asked.durability,
        wake: wake.ok_or_else(|| format!("the observer knows no way of waiting {}", asked.wake))?,
        workers: asked.workers,
        options: BackendOptions::new(asked.options.clone()),
        ..BackendConfig::new(&asked.namespace).at(url)
    };
    let backend = entry.open(&config).map_err(|error| error.to_string())?;
    backend.admin().await.map_err(|error| error.to_string())
}

impl Clocks {
    /// Both clocks of this host.
    pub(super) fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Clocks {
            monotonic_ns: monotonic_ns().unwrap_or(0),
            real_ns: u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::observe::protocol::PROTOCOL;

    /// An observer at the other end of a connection, and what becomes of it.
    fn observer() -> (BufReader<UnixStream>, UnixStream, std::thread::JoinHandle<Result<(), String>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let post =
            Post { engines: crate::ENGINES, hello: Hello { protocol: PROTOCOL, ..Hello::default() }, meter: None };
        let input = BufReader::new(theirs.try_clone().unwrap());
        let thread = std::thread::spawn(move || runtime.block_on(serve(post, input, theirs, std::future::pending())));
        (BufReader::new(ours.try_clone().unwrap()), ours, thread)
    }

    /// The next word of an observer beside its signs of life.
    fn next(output: &mut BufReader<UnixStream>) -> serde_json::Value {
        loop {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            let said: serde_json::Value = serde_json::from_str(&line).unwrap();
            if said["say"] != "alive" {
                return said;
            }
        }
    }

    #[test]
    fn it_says_who_it_is_answers_in_turn_and_refuses_in_a_sentence() {
        let (mut output, mut input, thread) = observer();
        let hello = next(&mut output);
        assert_eq!((&hello["say"], &hello["protocol"]), (&"hello".into(), &PROTOCOL.into()));
        input.write_all(b"{\"ask\":\"clock\"}\n{\"ask\":\"unwatch\"}\n").unwrap();
        let clock = next(&mut output);
        assert!(clock["monotonic_ns"].as_u64() > Some(0) && clock["real_ns"].as_u64() > Some(0), "{clock}");
        assert_eq!(next(&mut output)["reason"], "the observer watches nothing");
        let start = r#"{"ask":"start","engine":"oracle","durability":"d1","tuning":"stock","connections":1,"listen":"127.0.0.1"}"#;
        input.write_all(format!("{start}\n").as_bytes()).unwrap();
        assert_eq!(next(&mut output)["reason"], "the observer knows no server product oracle");
        input.write_all(b"{\"ask\":\"stop\"}\n").unwrap();
        assert_eq!(next(&mut output)["say"], "stopped");
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn what_is_no_question_ends_it_and_so_does_the_end_of_questions() {
        for last_words in ["rm -rf /\n", ""] {
            let (mut output, mut input, thread) = observer();
            assert_eq!(next(&mut output)["say"], "hello");
            input.write_all(last_words.as_bytes()).unwrap();
            input.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(next(&mut output)["say"], "stopped", "after {last_words:?}");
            thread.join().unwrap().unwrap();
        }
    }
}
