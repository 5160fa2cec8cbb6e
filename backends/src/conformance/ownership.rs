//! What is ours on a server or in a directory, and what is not.

use super::stage::{Checked, Failure, Knobs, Stage, drain, ensure_exactly, ensure_refused, jobs};
use crate::error::ErrorKind;
use crate::job::ProducerId;

cases! {
    "ownership.foreign_object_is_refused", foreign_is_refused(), [Objects],
    "Setup refuses to replace somebody else's object of the same name, and neither setup nor teardown touches it.";
    "ownership.teardown_leaves_nothing", teardown_leaves_nothing(), [Objects],
    "After teardown, nothing of ours is left.";
    "ownership.namespaces_are_apart", namespaces_are_apart(), [Objects],
    "Reset and teardown in one namespace do not touch another.";
    "ownership.nothing_works_before_setup", nothing_before_setup(), [Objects],
    "An enqueue without setup is an error, and does not make half a queue.";
    "ownership.teardown_of_nothing_is_fine", teardown_of_nothing(), [],
    "Teardown where nothing was set up, and a second one, succeed.";
    "ownership.setup_after_teardown", setup_after_teardown(), [],
    "A queue that was torn down can be set up again, and is empty.";
    "ownership.describes_itself_before_setup", describes_itself(), [],
    "The control side tells product, version and objects before setup, and settling a fresh queue succeeds.";
    "ownership.dead_address_is_a_clear_error", dead_address(), [Server],
    "An address without a server is a connection error that names the address and hides the password.";
}

async fn foreign_is_refused(stage: Stage) -> Checked {
    let mut probe = stage.probe().await?;
    let mut admin = stage.open(Knobs::default())?.admin().await?;
    let described = admin.describe().await?;
    let object = described.objects.first().cloned().unwrap_or_default();
    probe.plant(stage.namespace(), &object).await?;
    let set_up = admin.setup().await;
    let torn_down = admin.teardown().await;
    let intact = probe.is_intact(stage.namespace(), &object).await;
    probe.uproot(stage.namespace(), &object).await?;
    ensure_refused(set_up, ErrorKind::Foreign, &format!("setup took over {object}, which somebody else had made"))?;
    if let Err(error) = torn_down {
        ensure!(error.kind() == ErrorKind::Foreign, "teardown failed in another way: {error}")?;
    }
    ensure!(intact?, "somebody else's {object} was changed")
}

async fn teardown_leaves_nothing(stage: Stage) -> Checked {
    let mut probe = stage.probe().await?;
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    queue.enqueue(&jobs(0..10)).await?;
    drain(&mut consumer, 4, 1).await?;
    let made = probe.objects(stage.namespace()).await?;
    ensure!(!made.is_empty(), "the probe sees nothing where a queue is: it looks in the wrong place")?;
    drop(consumer);
    queue.admin.teardown().await?;
    let left = probe.objects(stage.namespace()).await?;
    ensure!(left.is_empty(), "teardown left {}", left.join(", "))
}

async fn namespaces_are_apart(stage: Stage) -> Checked {
    let mut ours = stage.set_up(Knobs::default()).await?;
    let beside = stage.beside();
    let mut theirs = beside.set_up(Knobs::default()).await?;
    ours.enqueue(&jobs(0..5)).await?;
    theirs.enqueue(&jobs(100..105)).await?;
    let mut consumer = ours.consumer().await?;
    theirs.admin.reset().await?;
    theirs.admin.teardown().await?;
    let done = drain(&mut consumer, 5, 10).await?;
    ensure_exactly(&done, 0..5)
}

async fn nothing_before_setup(stage: Stage) -> Checked {
    let mut probe = stage.probe().await?;
    let backend = stage.open(Knobs::default())?;
    let enqueued = match backend.producer(ProducerId(0)).await {
        Ok(mut producer) => producer.enqueue(&jobs(0..1)).await,
        Err(error) => Err(error),
    };
    ensure!(enqueued.is_err(), "an enqueue before setup was confirmed")?;
    let made = probe.objects(stage.namespace()).await?;
    ensure!(made.is_empty(), "an enqueue before setup made {}", made.join(", "))
}

async fn teardown_of_nothing(stage: Stage) -> Checked {
    let mut admin = stage.open(Knobs::default())?.admin().await?;
    admin.teardown().await?;
    admin.setup().await?;
    admin.teardown().await?;
    admin.teardown().await?;
    Ok(())
}

async fn setup_after_teardown(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::default()).await?;
    queue.enqueue(&jobs(0..10)).await?;
    queue.admin.teardown().await?;
    queue.admin.setup().await?;
    let depth = queue.admin.depth().await?;
    ensure!(depth.ready + depth.in_flight == 0, "a new queue has a depth of {depth:?}")?;
    queue.enqueue(&jobs(20..25)).await?;
    let mut consumer = queue.consumer().await?;
    let done = drain(&mut consumer, 5, 5).await?;
    ensure_exactly(&done, 20..25)
}

async fn describes_itself(stage: Stage) -> Checked {
    let mut admin = stage.open(Knobs::default())?.admin().await?;
    let described = admin.describe().await?;
    let named = !described.engine.is_empty() && !described.version.is_empty();
    ensure!(named, "the server is described as {:?} version {:?}", described.engine, described.version)?;
    admin.setup().await?;
    admin.settle().await?;
    let (before, after) = (described.objects, admin.describe().await?.objects);
    ensure!(before == after, "objects are {before:?} before setup and {after:?} after it")
}

async fn dead_address(stage: Stage) -> Checked {
    let backend = stage.at_a_dead_address().open(Knobs::default())?;
    let Err(error) = backend.admin().await else {
        return Err(Failure("an address without a server was accepted".to_owned()));
    };
    let sentence = error.to_string();
    ensure!(error.kind() == ErrorKind::Connect, "the error is of kind {:?}: {sentence}", error.kind())?;
    ensure!(sentence.contains("127.0.0.1:1"), "the error does not name the address: {sentence}")?;
    ensure!(!sentence.contains("s3cret"), "the error shows the password")
}
