//! The functions of services: those of all builds that their replicas run.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coral_model::merge::FunctionUnion;
use coral_model::{FunctionId, FunctionTable, Target};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::changes::FunctionName;
use super::registry::{Registry, ReplicaProcess, of_remote};
use crate::serving::status;
use crate::source::remote::RemoteAgent;

/// The functions of every service that somebody has asked for.
#[derive(Debug, Default)]
pub(super) struct Catalogs(Mutex<HashMap<String, Arc<Catalog>>>);

/// The functions of a service.
#[derive(Debug)]
pub(super) struct Catalog {
    known: Mutex<Functions>,
    /// One at a time looks for builds.
    loading: tokio::sync::Mutex<()>,
    /// The replicas of before the colony began anew: read together and in the same order, their
    /// functions get the same numbers.
    expected: Mutex<Vec<Target>>,
}

#[derive(Debug, Default)]
struct Functions {
    union: FunctionUnion,
    /// What the functions' numbers came from: the same after the colony has started anew, if they
    /// have the same numbers then.
    generation: u64,
    /// The target of every replica that was looked at, and the place of its build.
    builds: HashMap<(String, u32, u64), (Target, Option<usize>)>,
}

/// The functions of a service at one moment.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    /// The service, as if it were one process.
    pub(super) target: Target,
    pub(super) table: Arc<FunctionTable>,
    /// The builds, and which processes run them.
    pub(super) builds: Vec<(Option<String>, usize, Vec<ReplicaProcess>)>,
}

impl Catalogs {
    pub(super) fn of(&self, service: &str) -> Arc<Catalog> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let catalog = all.entry(service.to_owned()).or_insert_with(|| {
            Arc::new(Catalog {
                known: Mutex::default(),
                loading: tokio::sync::Mutex::default(),
                expected: Mutex::default(),
            })
        });
        Arc::clone(catalog)
    }
}

impl Catalog {
    /// Lets functions be read no sooner than these replicas are known again, or it is certain that
    /// they are not.
    pub(super) fn expect(&self, replicas: impl IntoIterator<Item = Target>) {
        self.expected().extend(replicas);
    }

    /// Reads the functions of all builds that run now, as far as they are not known.
    ///
    /// # Errors
    /// If there is no replica, or none of their agents answers.
    pub(super) async fn load(&self, registry: &Registry, service: &str) -> Result<Listing, Status> {
        let _one_at_a_time = self.loading.lock().await;
        let replicas = self.replicas(registry, service).await;
        let mut failure = self.look_at_all(registry, &replicas).await;
        let known = |it: &&ReplicaProcess| self.locked().builds.contains_key(&key(it));
        for replica in replicas.iter().filter(known) {
            if let Err(status) = self.load_one(registry, replica).await {
                failure = Some(status);
            }
        }
        self.locked().begin();
        match (self.listing(service, &replicas), failure) {
            (Some(listing), _) => Ok(listing),
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(no_replica(service)),
        }
    }

    /// Finds out which builds the replicas run that nobody has looked at, of all at the same time;
    /// why it is not known of one.
    async fn look_at_all(
        &self,
        registry: &Registry,
        replicas: &[ReplicaProcess],
    ) -> Option<Status> {
        let mut failure = None;
        let mut looking = JoinSet::new();
        let is_new = |it: &&ReplicaProcess| !self.locked().builds.contains_key(&key(it));
        for replica in replicas.iter().filter(is_new).cloned() {
            match registry.link(&replica.agent_id) {
                Some(link) => drop(looking.spawn(async move {
                    let target = look_at(&mut link.agent(None), &replica).await;
                    (replica, target)
                })),
                None => failure = Some(cut_off()),
            }
        }
        while let Some(looked) = looking.join_next().await {
            match looked {
                Ok((replica, Ok(target))) => {
                    let builds = &mut self.locked().builds;
                    builds.insert(key(&replica), (target, None));
                }
                Ok((_, Err(status))) => failure = Some(status),
                Err(_) => failure = Some(status::failed("a replica cannot be looked at")),
            }
        }
        failure
    }

    /// The replicas of a service. A colony that has just begun waits for its agents.
    async fn replicas(&self, registry: &Registry, service: &str) -> Vec<ReplicaProcess> {
        let mut changes = registry.changes();
        loop {
            changes.borrow_and_update();
            let replicas = registry.replicas(service);
            let is_known = self.are_expected(&replicas)
                && (!replicas.is_empty() || self.locked().union.builds() > 0);
            let Some(left) = registry.gathering().filter(|_| !is_known) else {
                return replicas;
            };
            // Where nothing changes, what is there has to do.
            let _ = timeout(left, changes.changed()).await;
        }
    }

    /// Whether all are there that were there before.
    fn are_expected(&self, replicas: &[ReplicaProcess]) -> bool {
        let mut expected = self.expected();
        expected.retain(|target| {
            replicas
                .iter()
                .all(|replica| key(replica) != key_of(target))
        });
        expected.is_empty()
    }

    /// The number of a function in the union, by its number and its name in a replica's session, and
    /// how many of that name it has before this one.
    pub(super) fn in_union(
        &self,
        target: &Target,
        id: FunctionId,
        name: &str,
        nth: usize,
    ) -> FunctionId {
        let mut known = self.locked();
        let build = known.builds.get(&key_of(target)).and_then(|it| it.1);
        let id = build.and_then(|build| known.union.in_union(build, id));
        // Where the build was not read, its functions are known by their names.
        id.unwrap_or_else(|| {
            known
                .union
                .of_name(name, nth)
                .unwrap_or(FunctionId(u32::MAX))
        })
    }

    /// The numbers that functions of the union have in a replica's build; functions that the build
    /// does not have are left out.
    ///
    /// # Errors
    /// If its functions cannot be read.
    pub(super) async fn in_build(
        &self,
        registry: &Registry,
        replica: &ReplicaProcess,
        functions: &[FunctionId],
    ) -> Result<Vec<FunctionId>, Status> {
        let _one_at_a_time = self.loading.lock().await;
        let build = self.load_one(registry, replica).await?;
        let known = self.locked();
        let functions = functions.iter();
        Ok(functions
            .filter_map(|&id| known.union.in_build(build, id))
            .collect())
    }

    /// The numbers that named functions have in a replica's build; those that the build does not
    /// have are left out.
    ///
    /// # Errors
    /// If its functions cannot be read.
    pub(super) async fn named_in_build(
        &self,
        registry: &Registry,
        replica: &ReplicaProcess,
        functions: &BTreeSet<FunctionName>,
    ) -> Result<Vec<FunctionId>, Status> {
        if functions.is_empty() {
            return Ok(Vec::new());
        }
        let _one_at_a_time = self.loading.lock().await;
        let build = self.load_one(registry, replica).await?;
        let union = &self.locked().union;
        let found = functions
            .iter()
            .filter_map(|it| union.find(&it.name, it.nth));
        Ok(found.filter_map(|id| union.in_build(build, id)).collect())
    }

    /// What functions are called by a colony that starts anew, where their numbers are others.
    pub(super) fn named(&self, functions: &[FunctionId]) -> BTreeSet<FunctionName> {
        let known = self.locked();
        let named = functions.iter().filter_map(|&id| known.union.name_of(id));
        let named = named.map(|(name, nth)| FunctionName {
            name: name.to_owned(),
            nth,
        });
        named.collect()
    }

    /// The names of functions.
    pub(super) fn names(&self, functions: &[FunctionId]) -> Vec<String> {
        let known = self.locked();
        let table = known.union.table();
        let found = functions.iter().filter_map(|&id| table.get(id));
        found.map(|function| function.name.to_owned()).collect()
    }

    /// The places of the builds that have a function; none where all have it.
    pub(super) fn builds_with(&self, id: FunctionId) -> Vec<u32> {
        let with = self.locked().union.builds_with(id).unwrap_or_default();
        with.into_iter().map(|build| build as u32).collect()
    }

    /// The place of a replica's build, which is read if it is not known.
    async fn load_one(
        &self,
        registry: &Registry,
        replica: &ReplicaProcess,
    ) -> Result<usize, Status> {
        let key = key(replica);
        let known = self.locked().builds.get(&key).cloned();
        if let Some((_, Some(build))) = known {
            return Ok(build);
        }
        let link = registry.link(&replica.agent_id).ok_or_else(cut_off)?;
        let mut agent = link.agent(None);
        let target = match known {
            Some((target, _)) => target,
            None => look_at(&mut agent, replica).await?,
        };
        let build_id = build_name(&target);
        let same = self.locked().union.build(&build_id);
        let build = match same {
            Some(build) => build,
            None => {
                let read = agent.functions(&replica.meant(), |_, _| {}).await;
                let (_, table) = read.map_err(of_remote)?;
                let added = self.locked().union.add(Some(build_id), &table);
                added.map_err(|error| status::failed(&error.to_string()))?
            }
        };
        self.locked().builds.insert(key, (target, Some(build)));
        Ok(build)
    }

    fn listing(&self, service: &str, replicas: &[ReplicaProcess]) -> Option<Listing> {
        let known = self.locked();
        let mut builds: Vec<(Option<String>, usize, Vec<ReplicaProcess>)> =
            (0..known.union.builds())
                .map(|build| (None, known.union.functions_of(build), Vec::new()))
                .collect();
        for replica in replicas {
            if let Some((target, Some(build))) = known.builds.get(&key(replica)) {
                builds[*build].0.clone_from(&target.build_id);
                builds[*build].2.push(replica.clone());
            }
        }
        // While a service restarts there is no replica; its functions are those of before.
        (!builds.is_empty()).then(|| Listing {
            target: self.target_of(service, &known),
            table: Arc::clone(known.union.table()),
            builds,
        })
    }

    /// What a session's target is to who watches it: the service, as if it were one process. It
    /// stays the same whatever becomes of the replicas.
    pub(super) fn target(&self, service: &str) -> Target {
        self.target_of(service, &self.locked())
    }

    fn target_of(&self, service: &str, known: &Functions) -> Target {
        let first = known.union.table().modules().first();
        Target {
            service: service.to_owned(),
            pid: 0,
            exe: String::new(),
            build_id: None,
            language: first.map(|module| module.language).unwrap_or_default(),
            start_ticks: known.generation,
            agent_id: String::new(),
        }
    }

    fn expected(&self) -> MutexGuard<'_, Vec<Target>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it guards is whole at any time, so a panic spoils nothing.
    fn locked(&self) -> MutexGuard<'_, Functions> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Functions {
    /// Notes where the numbers came from, once the first builds are read.
    fn begin(&mut self) {
        if self.generation != 0 || self.union.builds() == 0 {
            return;
        }
        let mut hasher = DefaultHasher::new();
        self.union.table().len().hash(&mut hasher);
        self.union.build_ids().for_each(|id| id.hash(&mut hasher));
        let first = self.union.table().get(FunctionId(0));
        first.map(|function| function.name).hash(&mut hasher);
        self.generation = hasher.finish().max(1);
    }
}

async fn look_at(agent: &mut RemoteAgent, replica: &ReplicaProcess) -> Result<Target, Status> {
    agent.look_at(&replica.meant()).await.map_err(of_remote)
}

/// A program without a build id may be another one after each start, whatever its path.
fn build_name(target: &Target) -> String {
    match &target.build_id {
        Some(build_id) => build_id.clone(),
        None => format!("{} {} {}", target.agent_id, target.pid, target.exe),
    }
}

/// Which process it is.
pub(super) fn key(replica: &ReplicaProcess) -> (String, u32, u64) {
    let process = &replica.process;
    (replica.agent_id.clone(), process.pid, process.start_ticks)
}

fn key_of(target: &Target) -> (String, u32, u64) {
    (target.agent_id.clone(), target.pid, target.start_ticks)
}

pub(super) fn cut_off() -> Status {
    let message = "the agent of that node is not connected";
    let help = "wait until it is back, or look at it on its node";
    status::with(Code::Unavailable, "agent-unreachable", message, help)
}

pub(super) fn no_replica(service: &str) -> Status {
    let message = format!("no replica of `{service}` runs on the node of a connected agent");
    let help = "`coral services` lists the services and their replicas";
    status::with(Code::NotFound, "no-such-process", &message, help)
}
