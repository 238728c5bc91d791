//! The functions of several builds of one program, as one table.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{
    Function, FunctionId, FunctionTable, FunctionTableBuilder, Language, NewFunction, SymbolSource,
};

/// The functions of several builds: those of one name are one. Its numbers stay when builds come.
#[derive(Debug, Default)]
pub struct FunctionUnion {
    table: Arc<FunctionTable>,
    /// The functions of a name, in their order.
    by_name: HashMap<Box<str>, Vec<FunctionId>>,
    builds: Vec<Build>,
}

/// One build, and what its functions are in the union.
#[derive(Debug)]
struct Build {
    build_id: Option<String>,
    to_union: Vec<FunctionId>,
    from_union: HashMap<FunctionId, FunctionId>,
}

/// More functions than have numbers, or modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the builds have more functions or libraries together than can be numbered")]
pub struct UnionTooLarge;

impl FunctionUnion {
    /// No build is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// All functions.
    pub fn table(&self) -> &Arc<FunctionTable> {
        &self.table
    }

    /// How many builds there are.
    pub fn builds(&self) -> usize {
        self.builds.len()
    }

    /// The build ids, in the order in which the builds came.
    pub fn build_ids(&self) -> impl Iterator<Item = Option<&str>> {
        self.builds.iter().map(|build| build.build_id.as_deref())
    }

    /// How many functions a build has.
    pub fn functions_of(&self, build: usize) -> usize {
        let build = self.builds.get(build);
        build.map_or(0, |build| build.to_union.len())
    }

    /// The place of a build that was added before.
    pub fn build(&self, build_id: &str) -> Option<usize> {
        let mut builds = self.builds.iter();
        builds.position(|build| build.build_id.as_deref() == Some(build_id))
    }

    /// Adds a build's functions and returns the build's place.
    ///
    /// # Errors
    /// If there would be more modules than a table can have.
    pub fn add(
        &mut self,
        build_id: Option<String>,
        table: &FunctionTable,
    ) -> Result<usize, UnionTooLarge> {
        let room = usize::from(u16::MAX) - self.table.modules().len();
        let functions = self.table.len() + table.len();
        if table.modules().len() > room || functions > u32::MAX as usize {
            return Err(UnionTooLarge);
        }
        let mut builder = FunctionTableBuilder::extend(&self.table);
        let modules: Vec<u16> = table
            .modules()
            .iter()
            .map(|module| builder.add_module(module.clone()))
            .collect();
        let mut seen = HashMap::<&str, usize>::new();
        let mut to_union = Vec::with_capacity(table.len());
        for function in table.iter() {
            // Functions of one name are told apart by their order.
            let nth = seen.entry(function.name).or_default();
            let known = self.by_name.get(function.name);
            let id = match known.and_then(|known| known.get(*nth)) {
                Some(&id) => id,
                None => {
                    let module = modules.get(usize::from(function.module));
                    let id = builder.push(&of_module(&function, module.copied().unwrap_or(0)));
                    let name = function.name.into();
                    self.by_name.entry(name).or_default().push(id);
                    id
                }
            };
            *nth += 1;
            to_union.push(id);
        }
        let from_union = to_union
            .iter()
            .zip(0u32..)
            .map(|(&id, own)| (id, FunctionId(own)))
            .collect();
        self.table = Arc::new(builder.build());
        self.builds.push(Build {
            build_id,
            to_union,
            from_union,
        });
        Ok(self.builds.len() - 1)
    }

    /// The number of a function by its name, and how many of that name come before it, if there is
    /// such a function.
    pub fn find(&self, name: &str, nth: usize) -> Option<FunctionId> {
        self.by_name.get(name)?.get(nth).copied()
    }

    /// The name of a function, and how many of that name come before it.
    pub fn name_of(&self, id: FunctionId) -> Option<(&str, usize)> {
        let name = self.table.get(id)?.name;
        let nth = self.by_name.get(name)?.iter().position(|it| *it == id)?;
        Some((name, nth))
    }

    /// The number of a function by its name, and how many of that name come before it. It gets one
    /// if no build that is known yet has such a function.
    ///
    /// # Errors
    /// If there are more functions than have numbers.
    pub fn of_name(&mut self, name: &str, nth: usize) -> Result<FunctionId, UnionTooLarge> {
        if let Some(id) = self.find(name, nth) {
            return Ok(id);
        }
        if self.table.len() >= u32::MAX as usize {
            return Err(UnionTooLarge);
        }
        let mut builder = FunctionTableBuilder::extend(&self.table);
        let id = builder.push(&NewFunction {
            name,
            package: 0..0,
            file: None,
            line: None,
            address: 0,
            size: 0,
            language: Language::Unknown,
            source: SymbolSource::Symtab,
            module: 0,
            plan: None,
        });
        self.table = Arc::new(builder.build());
        self.by_name.entry(name.into()).or_default().push(id);
        Ok(id)
    }

    /// The number of a build's function in the union.
    pub fn in_union(&self, build: usize, id: FunctionId) -> Option<FunctionId> {
        let build = self.builds.get(build)?;
        build.to_union.get(id.0 as usize).copied()
    }

    /// The number that a function of the union has in a build, if the build has it.
    pub fn in_build(&self, build: usize, id: FunctionId) -> Option<FunctionId> {
        self.builds.get(build)?.from_union.get(&id).copied()
    }

    /// The builds that have a function; `None` where all have it.
    pub fn builds_with(&self, id: FunctionId) -> Option<Vec<usize>> {
        let builds = self.builds.iter().enumerate();
        let with: Vec<usize> = builds
            .filter(|(_, build)| build.from_union.contains_key(&id))
            .map(|(place, _)| place)
            .collect();
        (with.len() < self.builds.len()).then_some(with)
    }
}

fn of_module<'a>(function: &Function<'a>, module: u16) -> NewFunction<'a> {
    NewFunction {
        name: function.name,
        package: function.package_range(),
        file: function.file,
        line: function.line,
        address: function.address,
        size: function.size,
        language: function.language,
        source: function.source,
        module,
        plan: function.plan,
    }
}
