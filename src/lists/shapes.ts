/** A facility's name; 'global' has the same shape and is reserved as the scope of entries for all facilities. */
export const facilityShape = /^[a-z0-9][a-z0-9-]{0,47}$/;
export const globalScope = 'global';
