/** The methods a call takes (RFC 3261 section 20.5). PRACK is answered for us by the agent, or by the library (RFC 3262). */
export const allow = 'INVITE, ACK, PRACK, CANCEL, BYE, OPTIONS, INFO, UPDATE';
