/** A facility's name; 'global' has the same shape and is reserved as the scope of entries for all facilities. */
export const facilityShape = /^[a-z0-9][a-z0-9-]{0,47}$/;
export const callerShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const globalScope = 'global';
