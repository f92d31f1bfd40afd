//! The worlds of the store: which are open, how one is made, and how one goes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cloudm_application::ports::{
    ForkedWorld, MAX_WORLDS, NewWorld, Parts, PartsToLoad, StoreError, World, WorldPorts, WorldsError,
};
use cloudm_domain::{Incarnation, WorldName};
use parking_lot::{Mutex, MutexGuard};

use crate::catalogue::Catalogue;
use crate::error::{DbError, closed};
use crate::parts;
use crate::world::{self, Base, OpenWorld};

/// The worlds of a store.
pub(crate) struct Worlds {
    base: Arc<Base>,
    catalogue: Mutex<Option<Catalogue>>,
    open: Mutex<BTreeMap<WorldName, Arc<OpenWorld>>>,
}

impl Worlds {
    pub(crate) fn new(base: Arc<Base>, catalogue: Catalogue) -> Self {
        Self { base, catalogue: Mutex::new(Some(catalogue)), open: Mutex::default() }
    }

    /// The world of this name, where it is open already.
    pub(crate) fn opened(&self, name: &WorldName) -> Option<Arc<OpenWorld>> {
        self.open.lock().get(name).cloned()
    }

    /// Whether the catalogue can be read.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.with_catalogue(|catalogue| catalogue.count().map(drop))
    }

    pub(crate) fn find(&self, name: &WorldName) -> Result<Option<Incarnation>, StoreError> {
        self.with_catalogue(|catalogue| catalogue.world(name))
    }

    pub(crate) fn names(&self, after: Option<&WorldName>, limit: usize) -> Result<Vec<WorldName>, StoreError> {
        self.with_catalogue(|catalogue| catalogue.names(after, limit))
    }

    pub(crate) fn open(&self, name: &WorldName) -> Result<Option<WorldPorts>, StoreError> {
        // Held throughout, so that of those who race one opens the file and all get that.
        let catalogue = self.catalogue.lock();
        self.open_with(catalogue.as_ref().ok_or_else(closed)?, name)
    }

    /// Opens the world of this name, made where there is none.
    pub(crate) fn ensure(&self, new: &NewWorld) -> Result<WorldPorts, StoreError> {
        loop {
            if let Some(ports) = self.open(&new.name)? {
                return Ok(ports);
            }
            match self.create(new.clone()) {
                // Another one made it meanwhile.
                Err(WorldsError::NameTaken) => {}
                Err(WorldsError::Store(error)) => return Err(error),
                Err(error) => return Err(StoreError::Failed(error.to_string())),
                Ok(ports) => return Ok(ports),
            }
        }
    }

    pub(crate) fn create(&self, new: NewWorld) -> Result<WorldPorts, WorldsError> {
        self.check_free(&new.name)?;
        let world = World::create(new, self.base.wall.now());
        self.build(&world, |path| Ok(world::create(path, &world, self.base.durability)?))?;
        self.name_new(&world)
    }

    pub(crate) fn fork(&self, source: Incarnation, fork: ForkedWorld) -> Result<WorldPorts, WorldsError> {
        self.check_free(&fork.name)?;
        let source = self.current(source)?;
        let path = self.base.directory.world(fork.incarnation);
        let world = source.copy_to(&path, fork).inspect_err(|_| self.base.directory.remove(&path))?;
        self.base.directory.sync_file(&path).map_err(StoreError::from)?;
        self.name_new(&world)
    }

    pub(crate) fn read(&self, incarnation: Incarnation, to: &Parts) -> Result<(), WorldsError> {
        Ok(self.current(incarnation)?.read_parts(to)?)
    }

    pub(crate) fn load(
        &self,
        old: Option<Incarnation>,
        world: &World,
        from: PartsToLoad,
    ) -> Result<WorldPorts, WorldsError> {
        let before = old.map(|old| self.current(old)).transpose()?;
        if before.is_none() {
            self.check_free(&world.name)?;
        }
        self.build(world, |path| {
            parts::write(path, world, from, &*self.base.wall)?;
            Ok(self.base.directory.sync_file(path).map_err(StoreError::from)?)
        })?;
        match before {
            None => self.name_new(world),
            Some(before) => self.name_anew(&before, world),
        }
    }

    pub(crate) fn replace(&self, old: Incarnation, new: NewWorld) -> Result<WorldPorts, WorldsError> {
        let before = self.current(old)?;
        let world = World::create(new, self.base.wall.now());
        self.build(&world, |path| Ok(world::create(path, &world, self.base.durability)?))?;
        self.name_anew(&before, &world)
    }

    /// Lets the name of a world point to another one that was built, unless it was replaced meanwhile.
    fn name_anew(&self, before: &Arc<OpenWorld>, world: &World) -> Result<WorldPorts, WorldsError> {
        let old = before.incarnation();
        let named = self.change(|catalogue| {
            if catalogue.world(&world.name).map_err(StoreError::from)? != Some(old) {
                return Err(WorldsError::Conflict);
            }
            catalogue.replace(&world.name, world.incarnation).map_err(StoreError::from)?;
            Ok(self.put(world)?)
        });
        let ports = named.inspect_err(|_| self.base.directory.remove(&self.base.directory.world(world.incarnation)))?;
        before.end();
        Ok(ports)
    }

    pub(crate) fn delete(&self, name: &WorldName, old: Incarnation) -> Result<(), WorldsError> {
        let before = self.current(old)?;
        self.change(|catalogue| {
            if catalogue.world(name).map_err(StoreError::from)? != Some(old) {
                return Err(WorldsError::Conflict);
            }
            catalogue.remove(name).map_err(StoreError::from)?;
            self.open.lock().remove(name);
            Ok(())
        })?;
        before.end();
        Ok(())
    }

    /// Lets worlds rest that were not used since the last look.
    pub(crate) fn rest_unused(&self) {
        for world in self.all().into_iter().filter(|world| !world.was_used()) {
            self.base.writers.push(move || world.rest());
        }
    }

    /// Lets nothing new begin.
    pub(crate) fn refuse(&self) {
        self.base.closed.store(true, Ordering::Release);
        self.all().iter().for_each(|world| world.close());
    }

    /// Ends what is under way and closes all files.
    pub(crate) fn end(&self) {
        self.base.readers.finish();
        // Once more, for a world that was being opened.
        self.refuse();
        self.base.writers.finish();
        self.base.movers.finish();
        self.all().iter().for_each(|world| world.rest());
        self.open.lock().clear();
        self.catalogue.lock().take();
    }

    fn all(&self) -> Vec<Arc<OpenWorld>> {
        self.open.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Catalogue>> {
        self.catalogue.lock()
    }

    fn with_catalogue<T>(&self, act: impl FnOnce(&Catalogue) -> Result<T, DbError>) -> Result<T, StoreError> {
        Ok(act(self.lock().as_ref().ok_or_else(closed)?)?)
    }

    fn change<T>(&self, act: impl FnOnce(&Catalogue) -> Result<T, WorldsError>) -> Result<T, WorldsError> {
        act(self.lock().as_ref().ok_or_else(closed)?)
    }

    fn open_with(&self, catalogue: &Catalogue, name: &WorldName) -> Result<Option<WorldPorts>, StoreError> {
        if let Some(world) = self.opened(name) {
            return Ok(Some(world.ports()));
        }
        let Some(incarnation) = catalogue.world(name)? else { return Ok(None) };
        let world = OpenWorld::open(self.base.clone(), incarnation)?;
        let ports = world.ports();
        self.open.lock().insert(name.clone(), world);
        Ok(Some(ports))
    }

    /// The open world of an incarnation that a name points to.
    fn current(&self, incarnation: Incarnation) -> Result<Arc<OpenWorld>, WorldsError> {
        self.change(|catalogue| {
            let name = catalogue.name(incarnation).map_err(StoreError::from)?.ok_or(WorldsError::Conflict)?;
            self.open_with(catalogue, &name)?;
            self.opened(&name).ok_or(WorldsError::Conflict)
        })
    }

    /// Whether a world of this name could be made now.
    fn check_free(&self, name: &WorldName) -> Result<(), WorldsError> {
        self.change(|catalogue| free(catalogue, name))
    }

    /// Writes the file of a world that has no name yet.
    fn build(&self, world: &World, build: impl FnOnce(&Path) -> Result<(), WorldsError>) -> Result<(), WorldsError> {
        let path = self.base.directory.world(world.incarnation);
        if path.exists() {
            return Err(StoreError::Failed(format!("the incarnation {} was used before", world.incarnation)).into());
        }
        build(&path).inspect_err(|_| self.base.directory.remove(&path))?;
        // Only what is whole on the disk gets a name.
        Ok(self.base.directory.sync().map_err(StoreError::from)?)
    }

    /// Gives a world that was built its name, unless that was taken meanwhile.
    fn name_new(&self, world: &World) -> Result<WorldPorts, WorldsError> {
        let named = self.change(|catalogue| {
            free(catalogue, &world.name)?;
            catalogue.add(&world.name, world.incarnation).map_err(StoreError::from)?;
            Ok(self.put(world)?)
        });
        named.inspect_err(|_| self.base.directory.remove(&self.base.directory.world(world.incarnation)))
    }

    /// Opens a world that just got its name.
    fn put(&self, world: &World) -> Result<WorldPorts, StoreError> {
        let opened = OpenWorld::open(self.base.clone(), world.incarnation)?;
        let ports = opened.ports();
        self.open.lock().insert(world.name.clone(), opened);
        Ok(ports)
    }
}

fn free(catalogue: &Catalogue, name: &WorldName) -> Result<(), WorldsError> {
    if catalogue.world(name).map_err(StoreError::from)?.is_some() {
        return Err(WorldsError::NameTaken);
    }
    if catalogue.count().map_err(StoreError::from)? >= MAX_WORLDS {
        return Err(WorldsError::TooMany);
    }
    Ok(())
}
