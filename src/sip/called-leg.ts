import type { CalledLeg, Emit, OtherParty, Sdp, SpokenLeg } from '../call/ports.js';
import type { Ending } from '../core/ending.js';
import type { Key } from '../core/key.js';
import { LegDialog } from './leg-dialog.js';
import type { Begun } from './leg-session.js';
import type { OtherParties } from './other-parties.js';
import { changedFrom, type Known, partiesOf, referred } from './other-party.js';
import type { Timing } from './own-offer.js';
import { reasonHeader } from './refusal.js';
import type { SessionPolicy } from './session-timer.js';
import type { InDialogRequest, SipDialog } from './sip-dialog.js';

export interface CalledLegParts {
  readonly emit: Emit;
  readonly timing: Timing;
  /** The session timer of its trunk, and what came of it in the answer. */
  readonly session?: { readonly policy: SessionPolicy } & Begun;
  /** Who has been reported in this call already. */
  readonly others: OtherParties;
  readonly known: Known;
}

/** The called party's leg, once answered. */
export class SipCalledLeg implements CalledLeg, SpokenLeg {
  readonly answer: Sdp;
  /** The leg within its dialog. */
  readonly inside: LegDialog;
  readonly #dialog: SipDialog;
  readonly #parts: CalledLegParts;

  constructor(dialog: SipDialog, agreed: { readonly told: Sdp; readonly heard: Sdp }, parts: CalledLegParts) {
    this.#dialog = dialog;
    this.answer = agreed.heard;
    this.#parts = parts;
    this.inside = new LegDialog({
      party: 'called',
      emit: parts.emit,
      timing: parts.timing,
      ...(parts.session === undefined ? {} : { session: parts.session.policy }),
      note: (request) => this.#note(request),
    });
    this.inside.open(dialog, agreed, parts.session);
  }

  onGone(gone: (how?: 'session-expired') => void): void {
    this.#dialog.onBye((reason) => gone(reason === 'session-expired' ? reason : undefined));
  }

  onOther(listener: (party: OtherParty) => void): void {
    this.#parts.others.onOther(listener);
  }

  onKey(listener: ((key: Key) => void) | null): void {
    this.inside.onKey(listener);
  }

  reinvite(offer: Sdp): Promise<Sdp> {
    return this.inside.reinvite(offer);
  }

  hangUp(ending: Ending): Promise<void> {
    return this.#dialog.bye({ Reason: reasonHeader(ending) });
  }

  /** A called party may become another one in the midst of the call, when the carrier's side forwards it. */
  #note(request: InDialogRequest): void {
    const { others, known } = this.#parts;
    if (request.method === 'REFER') {
      others.report([referred(request, known.plan)]);
      return;
    }
    const said = { status: 0, header: (name: string) => request.header(name) };
    others.report([...partiesOf(said, known), ...changedFrom(said, known)]);
  }
}
